"""Asterisk's telephone prompts in other languages: real speech to test on.

Debian packs them in Spanish, French, Italian and Russian: the sounds in
``asterisk-core-sounds-es-g722`` (one speaker a language, G.722 at 16 kHz,
CC-BY-SA or CC-BY) and the transcripts in ``asterisk-core-sounds-es``.
``apt-get download`` and ``dpkg -x`` fetch and unpack both without root.
"""

import re
import unicodedata
from pathlib import Path

from tqdm import tqdm

from speechbrain_ext.corpora.asterisk import (
    decode_g722,
    prompt_row,
    read_prompts,
)
from speechbrain_ext.corpora.manifest import write_manifest
from speechbrain_ext.corpora.preparation import (
    is_prepared,
    mark_prepared,
    newest,
)
from speechbrain_ext.errors import UserError

#: Prompts of fewer words of two letters or more are left out.
SHORTEST_WORDS = 4

# Spanish is transcribed without accents there: the words, and the phrases of
# words that exist with and without one, as they are written.
_SPANISH = """
está a punto | está en la | está ahora | está actualmente | está bloqueada |
está usted | está libre | está fuera | está terriblemente | estén en modo |
más información | más de | más mensajes | más resultados | más entidades |
más palabras | más recientemente | sé quién ha | en qué carpeta | será repetido |
será atendid | aún escucharás |
autenticación | búsqueda | buzón | código | comenzará | comprendí | conexión |
configuración | contraseña | contraseñas | demostración | después | duración |
estándar | extensión | guiaré | identificación | información | intentaré |
introducción | inválida | inválido | inválidos | iniciará | líder | línea |
logré | menú | mínimos | número | números | numérico | opción | propósito |
próximo | tecleó | teléfono | telefónico | única | único | unirá | unirán |
útil | vacías | válido
"""
# Figures, remarks and signs; a letter that became a question mark; the next
# line's name within this line.
_UNCLEAR = re.compile(r"[\d\[\](){}<>*/@_]|\?\W*[a-zà-ÿ]|[a-z]-[a-z]+:")
# Slips of the transcripts' writers, which are not what is said.
_SLIPS = {
    "es": {
        "an adelante": "en adelante",
        "atravez": "a través",
        "contrasenia": "contraseña",
        "defeto": "defecto",
        "demonstracion": "demostración",
        "entidade": "entidades",
        "ingese": "ingrese",
        "introdusca": "introduzca",
        "mesaje": "mensaje",
        "nimbre": "nombre",
        "numbre": "nombre",
        "ó": "o",
        "paracambiar": "para cambiar",
    },
    "fr": {
        "acceuil": "accueil",
        "a nouveau": "à nouveau",
        "abregée": "abrégée",
        "appellant": "appelant",
        "boite": "boîte",
        "connection": "connexion",
        "desole": "désolé",
        "démontration": "démonstration",
        "déverouillée": "déverrouillée",
        "dévérouillée": "déverrouillée",
        "et et": "et",
        "etait": "était",
        "etes": "êtes",
        "etre": "être",
        "étez": "été",
        "j'essai": "j'essaie",
        "mise a jour": "mise à jour",
        "numero": "numéro",
        "premieres": "premières",
        "presentement occupes": "présentement occupés",
        "problemes": "problèmes",
        "présentemnet": "présentement",
        "re-enregistrer": "réenregistrer",
        "reessayer": "réessayer",
        "simultane a ete": "simultané a été",
        "status": "statut",
        "verouillée": "verrouillée",
        "vérouiller": "verrouiller",
        "votre votre": "votre",
        "vérouillée": "verrouillée",
    },
    "it": {"e'": "è", "perpiacere": "per piacere"},
    "ru": {
        "за тем": "затем",
        "по прежнему": "по-прежнему",
        "что бы": "чтобы",
        "чтобы бы": "чтобы",
    },
}


def prepare_asterisk_test(sounds_folder, transcripts, save_folder, language):
    """Decode the longer prompts to 16 kHz WAV files and write ``test.csv``.

    Left out are prompts of fewer than four words, of less than 0.5 s or more
    than 28 s, those that say what another said before, those with a figure or a remark in brackets in their text (what
    was said for it, or would be written, is open), and those without a sound
    file.

    Arguments
    ---------
    sounds_folder : str or Path
        The folder with ``vm-intro.g722`` and so on; in the package,
        ``usr/share/asterisk/sounds/es_MX_f_Allison``.
    transcripts : str or Path
        ``core-sounds-es.txt.gz``, or the same uncompressed; in the package, in
        ``usr/share/doc/asterisk-core-sounds-es``.
    save_folder : str or Path
        Where to write ``wav/`` and ``test.csv``.
    language : str
        The language's code. Spanish gets the accents that its transcripts
        lack.

    Returns
    -------
    Path
        The manifest.

    Raises
    ------
    UserError
        When PyAV is not installed, the folder or the transcripts are missing or
        something else, or a prompt cannot be decoded.

    Example
    -------
    >>> prepare_asterisk_test("no/folder", "core-sounds-es.txt", "out", "es")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: no/folder: no such folder; expected \
Asterisk's sounds (*.g722)
    """
    sounds_folder = Path(sounds_folder)
    manifest = Path(save_folder).absolute() / "test.csv"
    if not sounds_folder.is_dir():
        raise UserError(
            f"{sounds_folder}: no such folder; "
            "expected Asterisk's sounds (*.g722)"
        )
    texts, sounds = {}, {}
    for name, raw in read_prompts(Path(transcripts)).items():
        text, sound = (
            clean_prompt(raw, language),
            sounds_folder / f"{name}.g722",
        )
        if text and text not in texts.values() and sound.is_file():
            texts[name], sounds[name] = text, sound
    if not texts:
        raise UserError(
            f"{sounds_folder}: holds none of the longer prompts of "
            f"{transcripts}; expected G.722 files such as vm-intro.g722"
        )
    settings = {
        "sounds": str(sounds_folder.resolve()),
        "texts": texts,
        "newest": newest(sounds.values()),
    }
    if not is_prepared([manifest], settings):
        speaker = sounds_folder.resolve().name.split("_")[-1].lower()
        rows = []
        for name in tqdm(texts, desc=f"Asterisk, {language}", unit="files"):
            rows += prompt_row(
                name,
                decode_g722(sounds[name]),
                texts[name],
                manifest.parent,
                speaker,
            )
        write_manifest(manifest, rows)
        mark_prepared([manifest], settings)
    return manifest


def clean_prompt(text, language):
    """Turn a transcript into a sentence, if it can be scored.

    Arguments
    ---------
    text : str
        A prompt's transcript.
    language : str
        Its language's code.

    Returns
    -------
    str
        The sentence; empty for what is left out.

    Example
    -------
    >>> clean_prompt("Lo siento, esa es una extension invalida", "es")
    'Lo siento, esa es una extensión inválida.'
    >>> clean_prompt("Marque 7 para borrar el mensaje.", "es")
    ''
    """
    text = text.replace("...", " ").replace("…", " ").strip(' "“”')
    text = " ".join(text.split())
    words = re.findall(r"[^\W\d_]{2,}", text)
    if len(words) < SHORTEST_WORDS or _UNCLEAR.search(text):
        return ""
    for slip, right in _SLIPS.get(language, {}).items():
        text = _replace(slip, right, text)
    if language == "es":
        for written in _SPANISH.split("|"):
            written = " ".join(written.split())
            text = _replace(_without_accents(written), written, text)
    text = text[0].upper() + text[1:].rstrip(' :;,"“”')
    return text if text[-1] in ".!?" else f"{text}."


def _replace(old, new, text):
    """Replace whole words, keeping a capital at their start."""

    def in_case(match):
        """Keep a capital a capital."""
        return new[0].upper() + new[1:] if match[0][0].isupper() else new

    # A phrase may end within a word (ocupad-o, -a); a word may not.
    end = "" if " " in old else r"(?!\w)"
    return re.sub(rf"(?<!\w){re.escape(old)}{end}", in_case, text, flags=re.I)


def _without_accents(text):
    letters = unicodedata.normalize("NFD", text)
    return "".join(c for c in letters if not unicodedata.combining(c))
