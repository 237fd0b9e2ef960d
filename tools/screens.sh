#!/usr/bin/env bash
# Pictures of a report's page with Chromium: 1280 and 420 pixels wide, light and dark, and what a printer gets.
#   tools/screens.sh results/NAME/report.html FOLDER [HEIGHT]
# The first HEIGHT pixels of the page are shown (2400). The page is internal, and so are pictures of it: commit those of public data
# alone. CHROMIUM names another browser.
set -euo pipefail
if [ $# -lt 2 ] || [ ! -f "$1" ]; then
  sed -n '2,5s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
page=$(realpath "$1")
folder=$2
height=${3:-2400}
mkdir -p "$folder"
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT

browser() {
  timeout 120 "${CHROMIUM:-chromium}" --headless --no-sandbox --disable-gpu --hide-scrollbars --no-first-run \
    --user-data-dir="$place/profile" "$@" >"$place/log" 2>&1 || { cat "$place/log" >&2; return 1; }
}

# A window is never narrower than 500 pixels; a frame is, and takes its scheme from the page around it.
frame() {
  cat >"$place/frame.html" <<END
<!doctype html><meta charset="utf-8"><style>:root{color-scheme:light dark}body{margin:0}iframe{border:0;display:block}</style>
<iframe src="file://${page// /%20}" width="$1" height="$height"></iframe>
END
}

for width in 1280 420; do
  frame "$width"
  for scheme in dark:0 light:1; do
    browser --window-size="$width,$height" --blink-settings="preferredColorScheme=${scheme#*:}" \
      --screenshot="$folder/$width-${scheme%:*}.png" "file://$place/frame.html"
  done
done
browser --no-pdf-header-footer --print-to-pdf="$folder/print.pdf" "file://$page"
ls "$folder"/{1280,420}-{light,dark}.png "$folder/print.pdf"
