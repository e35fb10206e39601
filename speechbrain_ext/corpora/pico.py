"""Speech from text with SVOX Pico (``py-nanotts``), the same every time."""

import importlib.util
import json
import os
import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy

from speechbrain_ext.errors import UserError

SAMPLE_RATE = 16000


class Request(NamedTuple):
    """One sentence to speak.

    Arguments
    ---------
    text : str
        What is said.
    voice : str
        ``en-US``, ``en-GB``, ``de-DE``, ``es-ES``, ``fr-FR`` or ``it-IT``.
    pitch : int
        In percent of the voice's own, 50 to 200.
    speed : int
        In percent of the voice's own, 20 to 500.
    volume : int
        In percent; 100 clips the loudest samples.
    """

    text: str
    voice: str
    pitch: int = 100
    speed: int = 100
    volume: int = 50


def synthesise(requests, n_workers=1):
    """Speak a list of sentences.

    Arguments
    ---------
    requests : list of Request
        What to say, and how.
    n_workers : int
        How many processes share the work; the result is the same for any.

    Returns
    -------
    list of numpy.ndarray
        [time] each, int16 at 16 kHz, in the order of the requests.

    Raises
    ------
    UserError
        When ``py-nanotts`` is not installed.

    Example
    -------
    >>> (speech,) = synthesise([Request("Good morning.", "en-GB")])
    >>> speech.dtype, 0.5 < len(speech) / SAMPLE_RATE < 2
    (dtype('int16'), True)
    """
    if importlib.util.find_spec("py_nanotts") is None:
        raise UserError(
            "py-nanotts: not installed, and the mini corpus is spoken by it; "
            "run: pip install speechbrain-ext[demo]"
        )
    requests = list(requests)
    share = max(1, -(-len(requests) // n_workers))
    parts = [
        requests[first : first + share]
        for first in range(0, len(requests), share)
    ]
    with ThreadPoolExecutor(n_workers) as pool:
        return [speech for part in pool.map(_run, parts) for speech in part]


def _run(requests):
    """Speak in a process of its own.

    Pico reads parts of its work memory before it writes them, so what it says
    depends on what lay there. A block that comes straight from the operating
    system is zero; the C library is told to take such a large one from there
    every time, and not to fill it with a debugging pattern.
    """
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("MALLOC_PERTURB_", "GLIBC_TUNABLES")
    }
    environment["MALLOC_MMAP_THRESHOLD_"] = "65536"
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    process = subprocess.run(
        [sys.executable, "-m", __name__],
        input=json.dumps(requests).encode(),
        stdout=subprocess.PIPE,
        env=environment,
        check=True,
    )
    speech, position = [], 0
    while position < len(process.stdout):
        (size,) = struct.unpack_from("<I", process.stdout, position)
        position += 4
        speech.append(
            numpy.frombuffer(process.stdout, "<i2", size // 2, position)
        )
        position += size
    return speech


def _speak(requests):
    """Write each request's length in bytes and its samples."""
    from py_nanotts import NanoTTS

    engine = NanoTTS()
    for request in requests:
        request = Request(*request)
        # The engine rounds a factor up to whole percents, so half a percent
        # below is safe from 0.57 * 100 = 57.000000000000007.
        samples = engine.speak(
            request.text,
            voice=request.voice,
            pitch=(request.pitch - 0.5) / 100,
            speed=(request.speed - 0.5) / 100,
            volume=(request.volume - 0.5) / 100,
        )
        sys.stdout.buffer.write(struct.pack("<I", len(samples)) + samples)


if __name__ == "__main__":
    _speak(json.load(sys.stdin))
