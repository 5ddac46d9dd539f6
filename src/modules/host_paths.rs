//! Paths as the user wrote them, made whole on the host: `~`, `~user` and `$NAME` as Ansible's `path` type expands them.

/// Shell functions: `fail MESSAGE` (one refusal ends a script) and `expand PATH`, which sets `$expanded`.
///
/// The environment is asked through a shell of its own, so that a script's variables cannot leak into a path (and not every
/// busybox has printenv). The name was checked to be letters, digits and underscores before it becomes code there.
pub(super) const HOST_PATHS: &str = r#"eval "${environment-}"
fail() { reply msg "$1"; exit 0; }
home_of() {
  found=
  while IFS=: read -r p_name _ _ _ _ p_home _; do
    [ "$p_name" = "$1" ] && found=$p_home && return 0
  done </etc/passwd
  return 1
}
expand() {
  expanded=$1
  case $expanded in
    '~'|'~/'*)
      if [ "${HOME-}" ]; then expanded=${HOME%/}${expanded#'~'}
      elif home_of "$(id -un)"; then expanded=${found%/}${expanded#'~'}; fi ;;
    '~'*)
      x_user=${expanded#'~'}; x_user=${x_user%%/*}
      if home_of "$x_user"; then expanded=${found%/}${expanded#"~$x_user"}; fi ;;
  esac
  case $expanded in *'$'*) ;; *) return 0 ;; esac
  x_rest=$expanded expanded=
  while :; do
    case $x_rest in *'$'*) ;; *) break ;; esac
    expanded=$expanded${x_rest%%'$'*} x_rest=${x_rest#*'$'}
    case $x_rest in
      '{'*'}'*) x_name=${x_rest#'{'}; x_name=${x_name%%'}'*}; x_tail=${x_rest#*'}'}; x_form="{$x_name}" ;;
      *) x_name=${x_rest%%[!A-Za-z0-9_]*}; x_tail=${x_rest#"$x_name"}; x_form=$x_name ;;
    esac
    case $x_name in
      ''|*[!A-Za-z0-9_]*) expanded=$expanded'$' ;;
      *)
        if x_value=$(sh -c "[ \"\${$x_name+set}\" ] && printf %s \"\$$x_name\""); then expanded=$expanded$x_value
        else expanded="$expanded\$$x_form"; fi
        x_rest=$x_tail ;;
    esac
  done
  expanded=$expanded$x_rest
}"#;
