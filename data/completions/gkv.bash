# bash completion for gkv: commands and options as 'gkv --help' has them, and keys as the cluster has them.
#
# SPDX-License-Identifier: LGPL-2.1-or-later

_gkv () {
  local line=${COMP_LINE:0:COMP_POINT} command='' current count=0 i candidate
  local -a words place=() candidates=()

  COMPREPLY=()
  # COMP_WORDS is split at colons, which addresses and keys have.
  read -ra words <<<"$line"
  [[ $line != *[[:space:]] ]] || words+=('')
  current=${words[-1]}
  for ((i = 1; i < ${#words[@]} - 1; i++)); do
    case ${words[i]} in
      --seed | --discover | --cluster | --bind | --codec | --key-file)
        place+=("${words[i]}" "${words[i + 1]}")
        ((++i < ${#words[@]} - 1)) || return
        ;;
      --timeout | --type | -t | --ttl | --peers | -n | --size)
        ((++i < ${#words[@]} - 1)) || return
        ;;
      -?*) ;;
      *)
        [ -n "$command" ] && count=$((count + 1)) || command=${words[i]}
        ;;
    esac
  done

  if [[ $current == -* ]]; then
    mapfile -t candidates < <(gkv ${command:+"$command"} --help 2>/dev/null |
      sed -n 's/^  \(-., \)\{0,1\}\(--[a-z-]*\).*/\2/p')
  elif [ -z "$command" ]; then
    mapfile -t candidates < <(gkv --help 2>/dev/null | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p')
  elif [[ $command == remove || $command =~ ^(get|set|list|watch)$ && $count == 0 ]]; then
    mapfile -t candidates < <(gkv list --keys --timeout 1 "${place[@]}" -- "$current" 2>/dev/null | head -n 1000)
  fi

  for candidate in "${candidates[@]}"; do
    [[ $candidate == "$current"* ]] || continue
    # What is before the last colon is in a word of its own.
    candidate=${candidate#"${current%"${current##*:}"}"}
    COMPREPLY+=("$(printf '%q' "$candidate")")
  done
}

complete -F _gkv gkv
