"""The documentation's links and lists of pages; `make docs` builds it."""

import importlib.util
import re

import pytest


@pytest.fixture(scope="module")
def conf(repository):
    """docs/conf.py as a module."""
    spec = importlib.util.spec_from_file_location(
        "docs_conf", repository / "docs" / "conf.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def said(conf, monkeypatch):
    """What would be a warning, which `make docs` takes for an error."""
    lines = []
    monkeypatch.setattr(
        conf.logger, "warning", lambda text, *rest: lines.append(text % rest)
    )
    return lines


def test_no_readme_links_to_what_is_not_there(conf, said):
    pages = conf.markdown_pages()
    assert len(pages) > 15
    links = 0
    for file in pages:
        for bang, text, target in conf._LINK.findall(file.read_text()):
            if not target.startswith("/"):
                conf.new_link(file, bang, text, target, pages)
                links += 1
    assert links > 40 and said == []


def test_links_of_pages_are_pages(conf):
    pages = set(conf.markdown_pages().values())
    for file, page in conf.markdown_pages().items():
        if not page.startswith("_pages/"):
            for target in re.findall(r"\]\(/([^)#]+)\.md", file.read_text()):
                assert target in pages, (page, target)


def test_a_broken_link_is_said(conf, said, repository):
    file = repository / "README.md"
    pages = conf.markdown_pages()
    assert conf.new_link(file, "", "a", "nowhere.md", pages) == "a"
    assert said == [f"{file}: links to nowhere.md, which is not there"]


def test_links_lead_to_pages(conf, said, repository):
    pages = conf.markdown_pages()
    recipe = repository / "recipes/LibriSpeech/ASR/packet_loss"
    link = f"../../../../{'pretrained/plc-whisper-base'}"
    assert conf.new_link(recipe / "README.md", "", "a", link, pages) == (
        "[a](/_pages/models/plc-whisper-base.md)"
    )
    image = "../../../../docs/packet-loss-ljspeech.png"
    assert conf.new_link(recipe / "README.md", "!", "a", image, pages) == (
        "![a](/packet-loss-ljspeech.png)"
    )
    assert said == []


def test_every_page_is_in_the_contents(conf, repository):
    index = (repository / "docs" / "index.md").read_text()
    for page in conf.markdown_pages().values():
        folder = page.rpartition("/")[0]
        globbed = re.sub(r"^[\w-]+-reproduction$", "*-reproduction", folder)
        if page != "index":
            assert page in index or f"{globbed}/*" in index, page


def test_every_package_and_module_is_in_the_reference(conf, repository):
    index = (repository / "docs" / "index.md").read_text()
    library = conf.library()
    for package in library:
        assert f"_pages/api/{package}\n" in index
    modules = sum(map(len, library.values()))
    files = set((repository / "speechbrain_ext").rglob("*.py"))
    packages = {file for file in files if file.name == "__init__.py"}
    assert modules == len(files - packages)
    page = conf.api_page(
        "speechbrain_ext.features", library["speechbrain_ext.features"]
    )
    assert (
        ".. automodule:: speechbrain_ext.features.frames\n   :members:" in page
    )
