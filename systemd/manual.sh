#!/bin/sh
# manual.sh SCDOC SOURCE PAGE.gz: makes a man page of an scdoc source. scdoc sets paragraphs around headings and at the ends of
# lists, where they do nothing but make linters complain; they are left out.
set -eu
"$1" <"$2" >"$3.scdoc"
awk '
    /^\.P$/ { paragraph = 1; next }
    /^\.RE$/ { print; next }
    /^\.(SH|SS|TH) / { paragraph = 0; print; heading = 1; next }
    { if (paragraph && !heading) print ".P"; paragraph = heading = 0; print }
' "$3.scdoc" | gzip -9n >"$3.new"
rm "$3.scdoc"
mv "$3.new" "$3"
