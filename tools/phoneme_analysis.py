#!/usr/bin/env python3
"""Show which phones a front-end helps: loud ones or soft ones."""

import argparse
from pathlib import Path

from speechbrain_ext.errors import UserError, exit_on_user_error

HELP = """\
Counts how often each phone of what a system recognised is right (aligned with
the reference by edit distance), for two systems on the same speech, and sets
what one gains over the other beside the phone's mean energy in clean speech:
Figure 6 of Plantinga et al. Writes phonemes.json and phonemes.png.

Energies come from an alignment (--ctm), or else from dividing the frames that
are not silent equally among an utterance's phones, which blurs them.
"""
EPILOG = """\
example:
  python tools/phoneme_analysis.py results/transcripts.jsonl \\
      --system perceptual --baseline l1 --manifest data/test.csv \\
      --energies-from data/train.csv --out results/phonemes

The paper finds r = -0.43 over all phones and -0.49 over consonants.
"""


def parse_arguments(arguments=None):
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=HELP,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("transcripts", help="an evaluation's transcripts.jsonl")
    parser.add_argument("--system", required=True, metavar="NAME")
    parser.add_argument("--baseline", required=True, metavar="NAME")
    parser.add_argument(
        "--manifest",
        required=True,
        metavar="CSV",
        help="what was evaluated: its texts are the references",
    )
    parser.add_argument(
        "--energies-from",
        metavar="CSV",
        help="clean speech to measure phones in (default: that of --manifest)",
    )
    parser.add_argument(
        "--ctm", metavar="FILE", help="phones of that speech, as Kaldi has them"
    )
    parser.add_argument(
        "--lexicon",
        metavar="FILE",
        help="in the CMU format (default: the CMU Pronouncing Dictionary)",
    )
    parser.add_argument(
        "--corruption", metavar="NAME", help="under this damage only"
    )
    parser.add_argument(
        "--levels",
        type=float,
        nargs="+",
        metavar="LEVEL",
        help="under this much of it only (an SNR in dB, for example)",
    )
    parser.add_argument(
        "--min-count",
        type=int,
        default=10,
        metavar="N",
        help="leave out phones predicted less often (default: %(default)s)",
    )
    parser.add_argument("--out", default="results/phonemes", metavar="DIR")
    return parser.parse_args(arguments)


def make_lookup(file):
    """Return what finds the phones of a word, or None for an unknown one."""
    from speechbrain_ext.corpora.lexicon import (
        cmu_lexicon,
        read_lexicon,
        text_to_phones,
    )

    lexicon = cmu_lexicon() if file is None else read_lexicon(file)

    def phones_of(word):
        """Look a word's phones up."""
        phones, unknown = text_to_phones(word, lexicon)
        return None if unknown else phones

    return phones_of


def main(arguments=None):
    """Analyse, write and say what was found."""
    arguments = parse_arguments(arguments)
    from speechbrain_ext.corpora.manifest import read_manifest
    from speechbrain_ext.evaluation import phoneme_report as report
    from speechbrain_ext.evaluation.phone_energies import energies_of, read_ctm
    from speechbrain_ext.evaluation.phonemes import precision_gains

    rows = read_manifest(arguments.manifest)
    snrs = {row["ID"]: row.get("snr") for row in rows}
    texts = [
        report.read_texts(
            arguments.transcripts,
            name,
            arguments.corruption,
            arguments.levels,
            snrs,
        )
        for name in (arguments.baseline, arguments.system)
    ]
    if texts[0].keys() != texts[1].keys():
        raise UserError(
            f"{arguments.transcripts}: {arguments.system} and "
            f"{arguments.baseline} were evaluated under other damage; name one "
            "that both have with --corruption and --levels"
        )
    phones_of = make_lookup(arguments.lexicon)
    references = {row["ID"]: row["wrd"] for row in rows}
    counts = [
        report.count_phones(each, references, phones_of) for each in texts
    ]
    if arguments.energies_from is not None:
        rows = read_manifest(arguments.energies_from)
    segments = None if arguments.ctm is None else read_ctm(arguments.ctm)
    energies, n_used = energies_of(rows, phones_of, segments)
    found = precision_gains(*counts, energies, arguments.min_count)
    unknown = counts[0].unknown + counts[1].unknown
    files = report.write_phoneme_report(
        Path(arguments.out),
        arguments.system,
        arguments.baseline,
        found,
        energies_from=f"{n_used} of {len(rows)} utterances",
        alignment=arguments.ctm or "equal division",
        unknown_words=dict(unknown.most_common()),
    )
    for name in ("all", "consonants"):
        one = found[name]
        if one["r"] is None:
            print(f"{name}: {one['n']} phones, too few for a correlation")
        else:
            print(
                f"{name}: r = {one['r']:.2f} [{one['ci_low']:.2f}, "
                f"{one['ci_high']:.2f}], p = {one['p']:.3f}, {one['n']} phones"
            )
    print("wrote", *files)


if __name__ == "__main__":
    with exit_on_user_error():
        main()
