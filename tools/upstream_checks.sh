#!/usr/bin/env bash
# Run SpeechBrain's own checks, as they stand in a checkout of it, on this
# repository: tests/consistency, then every recipe with its debug flags.
#
#   tools/upstream_checks.sh CHECKOUT
#   tools/upstream_checks.sh CHECKOUT consistency
#   tools/upstream_checks.sh CHECKOUT recipes 'filters_fields=["Dataset"], filters=["CHiME2"]'
#
# The last argument is handed to run_recipe_tests (tests/utils/recipe_tests.py).
# OUT names a folder that keeps what the recipes wrote, and with skip_passed=True
# the next run goes on there; PYTHON another interpreter than .venv's.
set -euo pipefail

if [ $# -lt 1 ] || [ ! -d "$1/tests/consistency" ]; then
    echo "error: ${1:-CHECKOUT}: no tests/consistency there; expected a" \
        "checkout of SpeechBrain's repository" >&2
    exit 2
fi
checkout=$(cd "$1" && pwd)
what=${2:-all}
options=${3:-}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=${PYTHON:-$root/.venv/bin/python}
if [ -z "${OUT:-}" ]; then
    OUT=$(mktemp -d)
    trap 'rm -rf "$OUT"' EXIT
fi
mkdir -p "$OUT"
OUT=$(cd "$OUT" && pwd)

# A copy of what git has or would take: the checks read every Python file below
# the working directory, .venv's and results' as well.
copy=$OUT/repository
mkdir -p "$copy"
(cd "$root" && git ls-files -z -c -o --exclude-standard) |
    (cd "$root" && xargs -0 sh -c 'for file; do
        [ ! -f "$file" ] || cp --parents "$file" "$0"; done' "$copy")
cd "$copy"

status=0
if [ "$what" != recipes ]; then
    # The checkout's pytest.ini, so that our own options are not read.
    PYTHONPATH="$checkout:$copy" "$python" -m pytest -q -p no:cacheprovider \
        --rootdir "$checkout" -c "$checkout/pytest.ini" \
        "$checkout/tests/consistency" || status=1
fi
if [ "$what" != consistency ]; then
    variables=$(PYTHONPATH="$copy" "$python" tools/debug_data.py "$OUT/data")
    eval "$variables"
    # The checks start "python"; nothing is looked up on the hub.
    PATH="$(dirname "$python"):$PATH" HF_HUB_OFFLINE=1 \
        PYTHONPATH="$checkout:$copy" "$python" -c "
import sys
from tests.utils.recipe_tests import run_recipe_tests
sys.exit(not run_recipe_tests(output_folder='$OUT/recipes', $options))
" || status=1
fi
exit $status
