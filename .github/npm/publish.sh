#!/bin/sh
# Publishes what pack.ts made: publish.sh FOLDER VERSION [FLAGS OF npm publish]. The executables go first, so that the
# launcher never names one that is not there; what is there already stays as it is, so a run that broke off can be
# repeated.
set -eu

folder=$1 version=${2#v}
shift 2
# Without a tag of its own a preview would become what everybody gets.
case $version in *-*) tag=next ;; *) tag=latest ;; esac
for file in "$folder"/plansocket-*-"$version.tgz" "$folder/plansocket-$version.tgz"; do
  name=$(basename "$file" "-$version.tgz")
  if npm view "$name@$version" version 2>/dev/null | grep -q .; then
    echo "$name $version is there already."
    continue
  fi
  npm publish "$file" --access public --tag "$tag" "$@"
done
