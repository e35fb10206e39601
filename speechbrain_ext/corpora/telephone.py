"""English of another domain than the mini corpus: calls at telephone bandwidth.

Other sentences than the mini corpus' grammar makes, of people who call about
deliveries, bookings and bills, from 300 to 3400 Hz, mu-law at 8 kHz. It stands
in for a domain that nothing was trained on where nothing can be downloaded.
"""

from pathlib import Path

import torch
from scipy.signal import butter, sosfiltfilt
from torchaudio.functional import mu_law_decoding, mu_law_encoding, resample

from speechbrain_ext.audio import SAMPLE_RATE, save_audio
from speechbrain_ext.corpora.manifest import write_manifest
from speechbrain_ext.corpora.pico import Request, synthesise
from speechbrain_ext.corpora.preparation import is_prepared, mark_prepared

_TELEPHONE_RATE = 8000
_BAND = 300, 3400
_VOICES = (("en-US", 90), ("en-GB", 104), ("en-US", 118), ("en-GB", 96))

SENTENCES = """\
I'm calling because the parcel that you promised has not been delivered.
Could you put me through to somebody in the accounts department?
The line is very bad, so I will ring you back in ten minutes.
My booking was for two nights, but the confirmation says three.
Your bill has gone up again and nobody told us why.
We have been waiting in this queue for almost an hour.
Please hold while I look for your customer number.
The engineer never turned up, although we stayed at home all day.
Is there any way to change the address before it is shipped?
I would rather have my money back than another voucher.
The internet keeps dropping out whenever it rains.
You can leave the keys with our neighbour at number forty.
Our flight was cancelled and the desk at the airport is closed.
How long will it take until the refund is on my account?
I never signed that contract, and I want it cancelled at once.
There must be a mistake, because we paid that invoice last week.
The heating stopped working shortly after your colleague left.
Do you have a table for six people somewhere near the window?
She has an appointment with the dentist, but she is running late.
Let me read the reference back to you to be sure.
Nothing happens when I press the button at the back.
We need a replacement before our guests arrive on Saturday.
The screen went black while I was typing my password.
If nobody answers, just send me a short message instead.
That was not what the salesman told us in the shop.
Which documents should I bring along to the interview?
He asked whether the warranty covers water damage.
The bus to the hospital leaves from the other side of the road.
I have tried switching it off and on again several times.
Would it be possible to pay the rest in instalments?
Somebody scratched our car while it was parked outside your office.
The recipe needs less sugar than it says on the package.
They moved the meeting forward without asking anyone.
It sounds as if you are speaking from the bottom of a well.
Half of the plates were broken when we opened the box.
Can I speak to your manager about the noise upstairs?
The doctor will call you as soon as the results are in.
We lost our luggage somewhere between the two airports.
Thank you for your patience, and sorry for the trouble.
I will write everything down and send it to you tonight.
""".splitlines()


def prepare_telephone(folder):
    """Speak the sentences, unless they are there already.

    Arguments
    ---------
    folder : str or Path
        Where ``test.csv`` and ``wav/`` shall be.

    Returns
    -------
    Path
        The manifest.

    Raises
    ------
    UserError
        When ``py-nanotts`` is missing or the folder cannot be written.

    Example
    -------
    >>> import tempfile
    >>> prepare_telephone(tempfile.mkdtemp()).name
    'test.csv'
    """
    folder = Path(folder).absolute()
    manifest = folder / "test.csv"
    settings = {"sentences": SENTENCES, "voices": [list(v) for v in _VOICES]}
    if is_prepared([manifest], settings):
        return manifest
    voices = [_VOICES[i % len(_VOICES)] for i in range(len(SENTENCES))]
    speech = synthesise(
        [
            Request(sentence, *voice)
            for sentence, voice in zip(SENTENCES, voices, strict=True)
        ]
    )
    rows = []
    for number, (sentence, (accent, pitch), samples) in enumerate(
        zip(SENTENCES, voices, speech, strict=True)
    ):
        wav = folder / "wav" / f"call-{number:02d}.wav"
        signal = telephone(torch.from_numpy(samples / 32768.0).float())
        save_audio(wav, signal)
        rows.append(
            {
                "ID": wav.stem,
                "duration": len(signal) / SAMPLE_RATE,
                "wav": wav,
                "spk_id": f"{accent}-{pitch}",
                "wrd": sentence,
            }
        )
    write_manifest(manifest, rows)
    mark_prepared([manifest], settings)
    return manifest


def telephone(signal):
    """Send a signal through a telephone line.

    Arguments
    ---------
    signal : torch.Tensor
        [time], 16 kHz.

    Returns
    -------
    torch.Tensor
        [time], 16 kHz: 300 to 3400 Hz, with mu-law's noise.

    Example
    -------
    >>> telephone(torch.zeros(1600)).shape
    torch.Size([1600])
    """
    narrow = resample(signal, SAMPLE_RATE, _TELEPHONE_RATE)
    band = butter(4, _BAND, "bandpass", fs=_TELEPHONE_RATE, output="sos")
    narrow = sosfiltfilt(band, narrow.double().numpy())
    narrow = torch.from_numpy(narrow.copy()).float().clamp(-1, 1)
    coded = mu_law_decoding(mu_law_encoding(narrow, 256), 256)
    # The code has no zero: what is left of silence is a quiet hiss.
    return resample(coded, _TELEPHONE_RATE, SAMPLE_RATE)[: len(signal)]
