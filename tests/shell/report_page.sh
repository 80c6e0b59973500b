#!/bin/sh
# report_page.sh: the report of a comparison in a browser: no error, no request, its numbers are those of the files, its
# controls change what is drawn, and it fits a phone. Needs Chromium (Debian: chromium); skipped without.
set -eu
browser=
for name in chromium chromium-browser google-chrome-stable google-chrome; do
    if command -v "$name" >/dev/null 2>&1; then browser=$(command -v "$name"); break; fi
done
[ -n "$browser" ] || { echo "report_page: there is no Chromium here (apt-get install chromium): not tested" >&2; exit 77; }
LUA_PATH="$DRIFT_HOME/tests/lua/?.lua;;" "$DRIFT" run "$DRIFT_HOME/tests/shell/report_page.lua"
"$DRIFT" compare run other_run --out compared >compared.log 2>&1 || { cat compared.log >&2; exit 1; }
exec timeout 60 python3 "$DRIFT_HOME/tests/shell/report_page.py" "$browser"
