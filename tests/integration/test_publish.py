"""From a results folder to a hub, and back: publish, push and load again."""

import base64
import contextlib
import hashlib
import http.server
import json
import re
import shutil
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from huggingface_hub import ModelCard, constants
from speechbrain.inference.interfaces import foreign_class

from speechbrain_ext import inference
from speechbrain_ext.cli import main
from speechbrain_ext.errors import UserError
from speechbrain_ext.inference import load
from speechbrain_ext.inference.classes import INTERFACES
from speechbrain_ext.inference.safe_yaml import check_yaml
from speechbrain_ext.publishing.folder import Publication, make_hub_folder
from speechbrain_ext.publishing.kinds import KINDS

REPO = "some-org/little-model"
TOKEN = "hf_of_the_test"
SHIPPED = (
    "fusion-asr-mini",
    "fusion-joint-mini",
    "inpainter-mini",
    "mimic-enhance-mini",
    "plc-whisper-base",
    "plc-whisper-tiny.en",
    "ssl-mse-mini",
)


class LittleHub:
    """The hub's part that a push and a load need, on loopback."""

    def __init__(self):
        self.repos, self.large, self.commits = {}, {}, []
        self.asked, self.unknown = [], []
        hub = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def answer(self):
                body = self.rfile.read(int(self.headers["Content-Length"] or 0))
                path = urlsplit(self.path).path
                hub.asked.append((self.command, path))
                status, content, headers = hub.answer(
                    self.command, path, body, self.headers
                )
                if not isinstance(content, bytes):
                    content = json.dumps(content).encode()
                    headers = {**headers, "Content-Type": "application/json"}
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            do_GET = do_HEAD = do_POST = do_PUT = answer

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def answer(self, method, path, body, headers):
        """What the hub says: status, content, headers."""
        for verb, pattern, call in (
            ("POST", r"/lfs/verify", lambda *_: ({}, {})),
            ("PUT", r"/lfs/(\w+)", self.put),
            ("GET", r"/api/whoami-v2", self.whoami),
            ("POST", r"/api/validate-yaml", self.validate),
            ("POST", r"/api/repos/create", self.create),
            ("POST", r"/api/models/(.+)/preupload/main", self.preupload),
            ("POST", r"/(.+)\.git/info/lfs/objects/batch", self.batch),
            ("POST", r"/api/models/(.+)/commit/main", self.commit),
            ("GET", r"/api/models/([^/]+/[^/]+)(?:/revision/\w+)?", self.info),
            ("GET|HEAD", r"/(.+)/resolve/(\w+)/(.+)", self.resolve),
        ):
            found = re.fullmatch(pattern, path)
            if found is None or method not in verb.split("|"):
                continue
            signed = headers["Authorization"] == f"Bearer {TOKEN}"
            if method in ("POST", "PUT") and "lfs/" not in path and not signed:
                return 401, {"error": "Invalid username or password."}, {}
            try:
                content, more = call(body, signed, *found.groups())
            except PermissionError as error:
                return 403, {"error": str(error)}, {}
            except LookupError as error:
                return 404, {"error": "not found"}, {"X-Error-Code": str(error)}
            return 200, content, more
        self.unknown.append((method, path))
        return 404, {"error": "not found"}, {}

    def whoami(self, body, signed):
        if not signed:
            raise PermissionError("Invalid token.")
        return {"type": "user", "name": "somebody", "orgs": []}, {}

    def validate(self, body, signed):
        ModelCard(json.loads(body)["content"])
        return {"errors": [], "warnings": []}, {}

    def create(self, body, signed):
        asked = json.loads(body)
        if asked["organization"] == "other-org":
            raise PermissionError("You don't have the rights to create here.")
        name = f"{asked['organization']}/{asked['name']}"
        self.repos.setdefault(name, {})
        return {"url": f"{self.address}/{name}", "name": name}, {}

    def preupload(self, body, signed, repo):
        return {
            "files": [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if self.is_large(file) else "regular",
                    "shouldIgnore": False,
                }
                for file in json.loads(body)["files"]
            ]
        }, {}

    @staticmethod
    def is_large(file):
        suffix = Path(file["path"]).suffix
        return suffix in (".safetensors", ".wav") or file["size"] > 1e6

    def batch(self, body, signed, repo):
        return {
            "transfer": "basic",
            "objects": [
                {
                    **one,
                    "actions": {
                        "upload": {"href": f"{self.address}/lfs/{one['oid']}"},
                        "verify": {"href": f"{self.address}/lfs/verify"},
                    },
                }
                for one in json.loads(body)["objects"]
            ],
        }, {}

    def put(self, body, signed, oid):
        assert hashlib.sha256(body).hexdigest() == oid
        self.large[oid] = body
        return b"", {"ETag": f'"{oid}"'}

    def commit(self, body, signed, repo):
        files = {}
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.large[value["oid"]]
        self.repos[repo].update(files)
        self.commits.append(hashlib.sha1(body).hexdigest())
        oid = self.commits[-1]
        return {
            "success": True,
            "commitOid": oid,
            "commitUrl": f"{self.address}/{repo}/commit/{oid}",
            "hookOutput": "",
        }, {}

    def files(self, repo):
        if repo not in self.repos:
            raise LookupError("RepoNotFound")
        return self.repos[repo]

    def info(self, body, signed, repo):
        siblings = [{"rfilename": name} for name in self.files(repo)]
        return {
            "id": repo,
            "sha": self.commits[-1],
            "siblings": siblings,
        }, {}

    def resolve(self, body, signed, repo, revision, name):
        files = self.files(repo)
        if name not in files:
            raise LookupError("EntryNotFound")
        digest = hashlib.sha256(files[name]).hexdigest()
        return files[name], {
            "ETag": f'"{digest}"',
            "X-Repo-Commit": self.commits[-1],
        }


@pytest.fixture
def hub():
    with contextlib.closing(LittleHub()) as hub:
        yield hub


@pytest.fixture
def run_command(run_program, tmp_path):
    """Run the command as its user does, with a hub."""

    def run(address, *arguments, token=TOKEN, **more):
        environment = {
            "HF_ENDPOINT": address,
            "HF_HUB_OFFLINE": "0",
            "HF_HUB_DISABLE_XET": "1",
            "HF_HOME": str(tmp_path / "home"),
            "HF_HUB_CACHE": str(tmp_path / "home" / "hub"),
            "HF_TOKEN": token,
            **more,
        }
        module = ["-m", "speechbrain_ext.cli"]
        return run_program([*module, *arguments], tmp_path, **environment)

    return run


@pytest.fixture(scope="module")
def results(experiment, changed_model_folder, utterances, tmp_path_factory):
    """A recipe's output folder after its last step, with no word of its author."""
    from speechbrain_ext.corpora.manifest import write_manifest
    from speechbrain_ext.evaluation.report import write_report
    from speechbrain_ext.evaluation.results import result_row, write_results

    folder = tmp_path_factory.mktemp("results") / "1"
    folder.mkdir()
    shutil.copy(experiment / "hyperparams.yaml", folder)
    shutil.copytree(changed_model_folder, folder / "model")
    write_manifest(folder / "test.csv", utterances)
    rows = [
        result_row(system, "torch", "test", "spans", level, "wer", value, 9, 0)
        for system, level, value in (
            ("bare", 0.0, (0.1, 0.05, 0.15)),
            ("bare", 0.4, (0.5, 0.4, 0.6)),
            ("adapted", 0.0, (0.1, 0.05, 0.15)),
            ("adapted", 0.4, (0.312345, 0.2, 0.4)),
        )
    ]
    write_results(folder / "results.json", rows)
    write_report(folder, rows)
    return folder


def test_what_is_pushed_is_loaded_and_reads_the_same(
    hub, run_command, results, tmp_path
):
    """Publish, push, load back: the same text, in a minute."""
    began = time.monotonic()
    pushed = run_command(
        hub.address, "publish", results, "--repo", REPO, "--push"
    )
    assert pushed.returncode == 0, pushed.stderr
    assert len(hub.commits) == 1
    assert f"{hub.address}/{REPO}/commit/{hub.commits[0]}" in pushed.stdout
    # The client asks what programs it may be run by.
    assert {*hub.unknown} <= {("GET", "/api/agent-harnesses")}
    files = hub.repos[REPO]
    for name, content in files.items():
        assert f"{len(content):,} bytes" in pushed.stdout
        assert name in pushed.stdout
    # The bar of the upload.
    assert "LFS files: 100%" in pushed.stderr
    audio = tmp_path / "example.wav"
    audio.write_bytes(files["example.wav"])
    found = run_command(hub.address, "transcribe", audio, "--model", REPO)
    assert found.returncode == 0, found.stderr
    spent = time.monotonic() - began
    expected = load(results / "model").transcribe_file(audio)
    assert found.stdout == f"{expected}\n" and expected
    assert expected in files["README.md"].decode()
    assert spent < 60
    # What is not needed is not fetched, and code least of all.
    fetched = {path.rpartition("/")[2] for verb, path in hub.asked[-40:]}
    assert "front_end.safetensors" in fetched
    assert "custom_interface.py" not in fetched


@pytest.fixture
def client(hub, monkeypatch, tmp_path):
    """This process's client asks the little hub."""
    monkeypatch.setattr(constants, "ENDPOINT", hub.address)
    monkeypatch.setattr(
        constants,
        "HUGGINGFACE_CO_URL_TEMPLATE",
        hub.address + "/{repo_id}/resolve/{revision}/{filename}",
    )
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    return hub


def put(hub, repo, folder):
    hub.repos[repo] = {
        path.name: path.read_bytes() for path in folder.iterdir()
    }
    hub.commits.append(hashlib.sha1(repo.encode()).hexdigest())


def test_a_hub_that_is_gone_is_not_missed(
    client, repository, tmp_path, monkeypatch
):
    """What was loaded once is in the cache, or where one wanted it."""
    put(client, REPO, repository / "pretrained" / "ssl-mse-mini")
    state = load(REPO, tmp_path / "mine").state_dict()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    client.repos.clear()
    for again in (load(REPO), load(tmp_path / "mine")):
        for name, value in again.state_dict().items():
            assert (value == state[name]).all()
    assert not (tmp_path / "mine" / "custom_interface.py").exists()


def test_a_push_in_between_does_not_mix_two_models(
    client, repository, monkeypatch
):
    """All files are of the commit of the first one."""
    put(client, REPO, repository / "pretrained" / "ssl-mse-mini")
    first = client.commits[-1]
    resolved = []

    def resolve(body, signed, repo, revision, name):
        resolved.append(revision)
        return LittleHub.resolve(client, body, signed, repo, revision, name)

    monkeypatch.setattr(client, "resolve", resolve)
    assert load(REPO)
    assert resolved[0] == "main" and set(resolved[2:]) == {first}


def test_a_model_that_is_not_on_the_hub_is_one_line(client):
    client.repos["some-org/empty"] = {}
    client.commits.append("a" * 40)
    for repo, said in (
        ("some-org/none", "not to be had from the hub"),
        ("some-org/empty", "no config.json there"),
    ):
        with pytest.raises(UserError, match=f"{repo}: .*{said}"):
            load(repo)


def test_a_hostile_model_of_the_hub_runs_nothing(client, published, tmp_path):
    canary = tmp_path / "canary"
    put(client, "evil/model", published)
    files = client.repos["evil/model"]
    files["hyperparams.yaml"] += (
        f"x: !apply:os.system [touch '{canary}']\n".encode()
    )
    files["custom_interface.py"] = f"open({str(canary)!r}, 'w')".encode()
    with pytest.raises(
        UserError, match="evil/model: hyperparams.yaml.*!apply:os.system"
    ):
        load("evil/model")
    assert not canary.exists()


@pytest.mark.parametrize(
    ("repo", "more", "said"),
    [
        (REPO, {"token": ""}, "no token for the hub"),
        (REPO, {"token": "hf_bad"}, "refuses (HTTP 403)"),
        ("other-org/model", {}, "You don't have the rights to create here"),
        (REPO, {"address": "http://127.0.0.1:9"}, "cannot be reached"),
        (REPO, {"offline": True}, "HF_HUB_OFFLINE"),
    ],
    ids=["no token", "bad token", "refused", "unreachable", "offline"],
)
def test_a_push_that_fails_is_one_line(
    hub, results, monkeypatch, capsys, repo, more, said
):
    monkeypatch.setattr(constants, "ENDPOINT", more.get("address", hub.address))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", "offline" in more)
    monkeypatch.setenv("HF_TOKEN", more.get("token", TOKEN))
    line = refused([results, "--repo", repo, "--push"], capsys)
    assert said in line and f"--push {repo}" in line
    assert hub.commits == []


# --- The folder


@pytest.fixture(scope="module")
def published(results, tmp_path_factory):
    folder = tmp_path_factory.mktemp("published") / "little-model"
    return make_hub_folder(results, Publication(REPO), folder)


def mapping(node):
    """A YAML mapping's nodes by key."""
    return {key.value: value for key, value in node.value}


def loadables(root):
    """The modules that a model's YAML loads weights into, by name."""
    names = list(mapping(mapping(mapping(root)["pretrainer"])["loadables"]))
    assert names
    return names


def check_hub_folder(folder, repo):
    """What holds for every published folder."""
    names = {path.name for path in folder.iterdir()}
    assert {
        "README.md",
        "config.json",
        "custom_interface.py",
        "example.wav",
        "hyperparams.yaml",
    } <= names
    text = (folder / "hyperparams.yaml").read_text()
    root = check_yaml(text, "hyperparams.yaml")
    assert {f"{name}.safetensors" for name in loadables(root)} <= names
    allowed = (".md", ".json", ".yaml", ".safetensors", ".wav", ".png", ".txt")
    for path in folder.iterdir():
        assert path.is_file() and not path.is_symlink()
        assert path.suffix in allowed or path.name == "custom_interface.py"
        assert path.stat().st_size < 20e6
    config = json.loads((folder / "config.json").read_text())
    assert config["interface"] in INTERFACES and config["repo"] == repo
    assert not re.search(r"!(?!new:speechbrain_ext\.)\w|<\w+>", text)
    name = config["interface"].rpartition(".")[2]
    card = ModelCard((folder / "README.md").read_text())
    data = card.data
    assert data.library_name == "speechbrain"
    assert data.license and data.language and data.datasets and data.tags
    assert data.pipeline_tag == KINDS[name].task
    if "source" in text:
        assert data.base_model.startswith("openai/whisper-")
        assert "tokenizer.json" in names
    for needed in (f'load("{repo}")', "foreign_class", "## Limits", "## Cit"):
        assert needed in card.text
    shown = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", card.text)
    assert shown and set(shown) <= names
    for _, target in re.findall(r"(?<!!)\[([^\]]*)\]\(([^)]+)\)", card.text):
        assert ":" in target or target in names, target
    return data, name


def own_rows(folder, system, metrics):
    rows = json.loads((folder / "results.json").read_text())
    return [
        row
        for row in rows
        if row["system"] == system
        and row["metric"] in metrics
        and row["value"] is not None
    ]


def check_model_index(data, rows, repo):
    """The card's numbers are those of results.json, and no more."""
    found = sorted(
        (one.metric_type, one.dataset_config, one.metric_value)
        for one in data.eval_results
    )
    assert data.model_name == repo.rpartition("/")[2]
    assert len(found) == len(rows) > 0
    values = sorted(
        (
            row["metric"],
            round(
                row["value"] * (100 if row["metric"] in ("wer", "cer") else 1),
                3,
            ),
        )
        for row in rows
    )
    assert sorted((kind, value) for kind, _, value in found) == values


def test_a_results_folder_becomes_a_complete_one(published):
    data, name = check_hub_folder(published, REPO)
    assert name == "PacketLossASR"
    assert data.datasets == ["mini-corpus"]
    assert data.base_model == "openai/whisper-tiny.en"
    check_model_index(data, own_rows(published, "adapted", ["wer"]), REPO)
    assert 31.234 in {one.metric_value for one in data.eval_results}
    text = (published / "README.md").read_text()
    assert "| adapted" in text and "![Results](wer-test-spans.png)" in text


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_models_are_what_the_command_makes(name, repository, tmp_path):
    """Publishing one again, as it is, changes no file of it."""
    folder = repository / "pretrained" / name
    repo = f"pretrained/{name}"
    data, interface = check_hub_folder(folder, repo)
    metrics = KINDS[interface].metrics
    check_model_index(data, own_rows(folder, name, metrics), repo)
    again = make_hub_folder(folder, Publication(repo), tmp_path / "again")
    for directory in (folder, again):
        file = directory / "config.json"
        config = json.loads(file.read_text())
        assert re.fullmatch(r"[\d.]+", config["speechbrain_ext_version"])
    files = {path.name for path in folder.iterdir()}
    assert files == {path.name for path in again.iterdir()}
    for file in files - {"config.json"}:
        assert (folder / file).read_bytes() == (again / file).read_bytes(), file
    # Under another name it is that one's.
    other = make_hub_folder(folder, Publication(REPO), tmp_path / "other")
    check_hub_folder(other, REPO)
    assert repo not in (other / "README.md").read_text()


def test_all_shipped_models_are_tested(repository):
    folder = repository / "pretrained"
    assert sorted(path.name for path in folder.iterdir()) == list(SHIPPED)
    total = sum(path.stat().st_size for path in folder.rglob("*"))
    assert total < 120e6


@pytest.mark.parametrize("name", SHIPPED)
def test_each_class_loads_in_three_ways(name, repository, tmp_path):
    folder = repository / "pretrained" / name
    config = json.loads((folder / "config.json").read_text())
    interface = getattr(inference, config["interface"].rpartition(".")[2])
    options = {"run_opts": {"device": "cpu"}}
    loaded = [
        load(folder, tmp_path / "a", **options),
        interface.from_hparams(
            source=folder, savedir=tmp_path / "b", **options
        ),
        foreign_class(
            source=str(folder),
            pymodule_file="custom_interface.py",
            classname=interface.__name__,
            savedir=tmp_path / "c",
            **options,
        ),
    ]
    states = [model.state_dict() for model in loaded]
    for model, state in zip(loaded, states):
        assert type(model) is interface
        assert not model.mods.training
        assert state.keys() == states[0].keys()
        for key, value in state.items():
            assert (value == states[0][key]).all()


def test_what_an_author_wrote_is_kept(results, tmp_path):
    shutil.copytree(results, tmp_path / "mine")
    (tmp_path / "mine" / "README.md").write_text(
        "---\nlicense: mit\ndatasets: [librispeech_asr]\nwidget: [a]\n"
        "model-index: [{name: old}]\n---\n\n# Mine\n\nIn my words, and "
        "[more](https://example.org/x), [there](../../x/y.md#z).\n\n"
        "## Results\n\nGood.\n\n## Limitations\n\nMany.\n"
    )
    publication = Publication(REPO, language=["en", "de"])
    folder = make_hub_folder(tmp_path / "mine", publication, tmp_path / "out")
    data = ModelCard((folder / "README.md").read_text()).data
    assert (data.license, data.datasets) == ("mit", ["librispeech_asr"])
    assert data.language == ["en", "de"] and data.to_dict()["widget"] == ["a"]
    assert data.model_name == "little-model"
    text = (folder / "README.md").read_text()
    assert (
        "In my words, and [more](https://example.org/x), there (`x/y.md`)"
        in (text)
    )
    assert text.index("# Mine") < text.index("load(") < text.index("Good.")
    assert "Many." in text and text.count("## Limit") == 1


def test_without_push_it_is_listed(results, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["publish", str(results), "--repo", REPO]) == 0
    out = capsys.readouterr().out
    folder = tmp_path / "hub" / "little-model"
    for path in folder.iterdir():
        line = next(
            line for line in out.splitlines() if line.startswith(path.name)
        )
        assert line.endswith(f" {path.stat().st_size:,} bytes")
    assert "not pushed" in out and out.endswith("hub/little-model\n")
    assert load(folder)


def refused(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["publish", *map(str, arguments)])
    assert stop.value.code == 2
    said = capsys.readouterr().err.splitlines()
    # What is above it is the client's: that it tries again.
    assert said[-1].startswith("error: ")
    assert not any(line.startswith("Traceback") for line in said)
    return said[-1]


def test_a_folder_with_something_in_it_is_not_touched(
    results, tmp_path, capsys
):
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("all of it")
    line = refused([results, "--repo", REPO, "--out", out], capsys)
    assert f"{out}: is there and not empty" in line
    assert (out / "thesis.txt").read_text() == "all of it"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    line = refused(
        [results, "--repo", REPO, "--out", out / "thesis.txt"], capsys
    )
    assert "thesis.txt: is there" in line


@pytest.mark.parametrize("repo", ["name", "a/b/c", "../x", "a/", "a b/c"])
def test_a_name_that_the_hub_has_not_is_refused(
    results, tmp_path, capsys, repo
):
    line = refused([results, "--repo", repo, "--out", tmp_path / "o"], capsys)
    assert f"--repo {repo}: expected ORG/NAME" in line


def broken(results, tmp_path, change):
    folder = tmp_path / "broken"
    shutil.copytree(results, folder)
    change(folder)
    return folder


def replace(name, old, new):
    def change(folder):
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new))

    return change


def without(*names):
    def change(folder):
        for name in names:
            path = folder / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    return change


def rename_systems(folder):
    """None of them is a reference, or what the training calls its own."""
    for name in ("bare", "adapted"):
        replace("results.json", f'"{name}"', f'"{name} of old"')(folder)


SETTINGS = "model/hyperparams.yaml"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (without("model"), "no model there"),
        (without("model/config.json"), "no model there"),
        (without("test.csv"), "no example.wav and no test.csv"),
        (without("model/front_end.safetensors"), "no front_end.safetensors"),
        (replace("results.json", "[", "{"), "results.json: not readable"),
        (replace("results.json", '"level"', '"l"'), "results.json: expected"),
        (rename_systems, "expected --system"),
        (
            replace(SETTINGS, "openai/whisper-tiny.en", "/my/whisper"),
            "source /my/whisper: expected a hub id",
        ),
        (
            replace(SETTINGS, "packet_seconds:", "x: !apply:os.getcwd []\ny:"),
            "!apply:os.getcwd",
        ),
        (
            replace(SETTINGS, "packet_seconds:", "x: !name:torch.nn.ReLU\ny:"),
            "!name:torch.nn.ReLU",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_published_is_named(
    results, tmp_path, capsys, change, said
):
    folder = broken(results, tmp_path, change)
    out = tmp_path / "out"
    line = refused([folder, "--repo", "me/none", "--out", out], capsys)
    assert said in line
    assert not out.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["broken"]


def test_references_are_resolved(results, tmp_path):
    folder = broken(
        results,
        tmp_path,
        replace(
            SETTINGS,
            "packet_seconds: 0.02",
            "unit: 0.01\npacket_seconds: !ref <unit> * 2",
        ),
    )
    made = make_hub_folder(folder, Publication(REPO), tmp_path / "out")
    settings = (made / "hyperparams.yaml").read_text()
    assert "!ref" not in settings
    assert load(made).hparams.packet_seconds == 0.02


def test_a_system_is_named_where_there_are_several(results, tmp_path, capsys):
    folder = broken(
        results, tmp_path, replace("results.json", '"bare"', '"other"')
    )
    arguments = [folder, "--repo", "me/none", "--out", tmp_path / "out"]
    line = refused([*arguments, "--system", "third"], capsys)
    assert "--system third: not in results.json" in line
    assert main(["publish", *map(str, arguments), "--system", "other"]) == 0
    data = ModelCard((tmp_path / "out" / "README.md").read_text()).data
    check_model_index(data, own_rows(folder, "other", ["wer"]), "me/none")


def test_the_cards_metadata_is_yaml(published):
    head = (published / "README.md").read_text().split("---\n")[1]
    index = yaml.safe_load(head)["model-index"]
    assert index[0]["name"] == "little-model"
    with pytest.raises(UserError, match="not readable as YAML"):
        (published.parent / "bad").mkdir()
        (published.parent / "bad" / "README.md").write_text("---\na: [\n---\n")
        from speechbrain_ext.publishing.card import read_card

        read_card([published.parent / "bad"])
