#!/usr/bin/env bash
# The main job of storectl, on real data: what is printed after $ is what runs.
#
# Cars and airports are files of the package vega_datasets (CC0 and public
# domain; airports from ourairports.com). pages.txt lists the pages that the data
# sets of vega_datasets come from. Nothing is fetched from them.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
results=$(dirname "$here")/demo-output
data=$(python - <<'PYTHON'
import importlib.util, pathlib
print(pathlib.Path(importlib.util.find_spec("vega_datasets").origin).parent / "_data")
PYTHON
)

rm -rf "$results"
mkdir -p "$results"
cd "$results"
cp "$data/cars.json" "$data/airports.csv" "$here/pages.txt" .
export STORECTL_STORE="$results/store" STORECTL_CONFIG_DIR="$results/config"

say() { printf '\n# %s\n' "$*"; }
run() {
    printf '$ %s\n' "$*"
    eval "$*"
}

say "A store of its own: no account, no server, nothing to set up."
run "storectl dataset create cars"
run "storectl dataset push cars cars.json"
run "storectl dataset push airports airports.csv --create"
run "storectl dataset ls"

say "Look at it, rename it, pick fields of it."
run "storectl dataset rename cars cars-1970-1982"
run "storectl dataset items cars-1970-1982 --limit 5"
run "storectl dataset items airports --fields iata,name,city --offset 3000 --limit 3 --jsonl"

say "Export it: CSV and a spreadsheet, streamed."
run "storectl dataset items cars-1970-1982 --format csv -o cars.csv"
run "storectl dataset items airports --format xlsx -o airports.xlsx"
run "head -3 cars.csv"

say "A pipe gets data and nothing else."
run "storectl dataset items cars-1970-1982 | grep -c '\"Origin\":\"Japan\"'"

say "Keep a file under a key, byte for byte, and read it back."
run "storectl kvs create reports"
run "storectl kvs set reports airports.xlsx airports.xlsx"
run "storectl kvs set reports note --value 'made by the demo'"
run "storectl kvs keys reports"
run "storectl kvs get reports airports.xlsx | cmp - airports.xlsx && echo 'the same bytes'"

say "Queue URLs, each once; lock some; handle them."
run "storectl queue create pages"
run "storectl queue add pages -i pages.txt -q | wc -l"
run "storectl queue add pages https://en.wikipedia.org/wiki/VIX"
run "storectl queue head pages --limit 3"
run "storectl queue lock pages --limit 3 --secs 60 --client-key demo -q > locked.txt"
run "storectl queue requests pages --state locked"
run "xargs storectl queue handle pages --client-key demo < locked.txt"
run "storectl queue info pages"

say "A failure has a message, a way on, and an exit code of its own."
run "storectl dataset info no-such-thing || echo \"exit code \$?\""

printf '\nThe results are in %s:\n' "$results"
ls -1 "$results"
printf '\nGo on with: export STORECTL_STORE=%s/store\n' "$results"
