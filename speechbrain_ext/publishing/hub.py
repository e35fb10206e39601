"""Publishing: a complete folder, and one commit on the hub."""

import re
import tempfile
from pathlib import Path

from huggingface_hub import HfApi, constants, get_token
from huggingface_hub.errors import HfHubHTTPError

from speechbrain_ext import __version__
from speechbrain_ext.errors import UserError, brief
from speechbrain_ext.files import describe
from speechbrain_ext.publishing.folder import make_hub_folder

_REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
# Whichever HTTP library the hub's client is built on: its base of all errors.
_TRANSPORT_ERROR = HfHubHTTPError.__mro__[1]


def publish(results_folder, publication, out=None, push=False, private=False):
    """Make a hub folder of a model, and perhaps push it.

    Arguments
    ---------
    results_folder : str or Path
        A recipe's output folder, or a model's folder.
    publication : Publication
        What is said of the model.
    out : str or Path, optional
        Where the folder goes; if not given ``hub/NAME``, and where it is
        pushed a temporary one.
    push : bool
        Whether to push it.
    private : bool
        Whether a repository that is made then is hidden from others.

    Returns
    -------
    files : list of (str, int)
        Path and bytes of what is, or would be, uploaded.
    place : str
        The folder, or the commit's address.

    Raises
    ------
    UserError
        When there is no model or no token, or the hub cannot be reached or
        refuses.

    Example
    -------
    >>> from speechbrain_ext.publishing.folder import Publication
    >>> publish("results/1", Publication("me"))
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: --repo me: expected ORG/NAME
    """
    if not _REPO.fullmatch(publication.repo) or len(publication.repo) > 96:
        raise UserError(f"--repo {publication.repo}: expected ORG/NAME")
    if not push:
        folder = Path(out or Path("hub") / publication.name)
        make_hub_folder(results_folder, publication, folder)
        return _files(folder), str(folder)
    # Before the work.
    api = _signed_in(publication.repo)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(out or Path(temporary) / publication.name)
        make_hub_folder(results_folder, publication, folder)
        return _files(folder), _push(api, folder, publication.repo, private)


def _files(folder):
    return [
        (str(path.relative_to(folder)), path.stat().st_size)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]


def _signed_in(repo):
    if constants.is_offline_mode():
        raise UserError(
            f"--push {repo}: HF_HUB_OFFLINE is set; expected a hub that may be "
            "reached"
        )
    if get_token() is None:
        raise UserError(
            f"--push {repo}: no token for the hub; run hf auth login, or set "
            "HF_TOKEN"
        )
    api = HfApi(library_name="speechbrain-ext", library_version=__version__)
    _asked(repo, api.whoami)
    return api


def _push(api, folder, repo, private):
    _asked(
        repo,
        api.create_repo,
        repo_id=repo,
        repo_type="model",
        exist_ok=True,
        private=private or None,
    )
    commit = _asked(
        repo,
        api.upload_folder,
        repo_id=repo,
        repo_type="model",
        folder_path=folder,
        commit_message=f"Publish {repo} with speechbrain-ext {__version__}",
    )
    return str(commit.commit_url)


def _asked(repo, call, **arguments):
    """What the hub answers, or one line that says why it does not."""
    try:
        return call(**arguments)
    except HfHubHTTPError as error:
        status = getattr(error.response, "status_code", None)
        said = getattr(error, "server_message", None) or str(error)
        raise UserError(
            f"--push {repo}: {constants.ENDPOINT} refuses (HTTP {status}): "
            f"{brief(said)}; expected a token that may write "
            "there"
        ) from error
    except _TRANSPORT_ERROR as error:
        raise UserError(
            f"--push {repo}: {constants.ENDPOINT} cannot be reached "
            f"({type(error).__name__})"
        ) from error
    except (RuntimeError, OSError) as error:
        reason = describe(error) if isinstance(error, OSError) else str(error)
        raise UserError(
            f"--push {repo}: the upload broke off ({reason}); nothing was "
            "committed: run it again, with HF_HUB_DISABLE_XET=1 where the hub "
            "has no Xet storage"
        ) from error
