# The environment of every command of @name@ with the lock
# @digest@, as `elt-env run` makes it: nothing of another Python,
# library or environment takes part, and its own tools come first. No program is started for it.
_elt_prefix=@prefix@
if ! [ -d "$_elt_prefix/bin" ]; then
    printf '%s\n' "elt-env: $_elt_prefix, the prefix of this release, is gone." \
        '  -> Build it again: elt-env rollback @name@ --to @digest@' >&2
    exit 127
fi

# What is activated; a colon stands for nothing, since it is in no path of a list of paths.
_elt_virtual=${VIRTUAL_ENV:-:}
_elt_virtual=${_elt_virtual%/}
_elt_conda=${CONDA_PREFIX:-:}
_elt_conda=${_elt_conda%/}

_elt_ifs=$IFS
set -f
IFS='
'
for _elt_line in $(export -p); do
    _elt_name=${_elt_line#export }
    _elt_name=${_elt_name%%=*}
    case $_elt_name in
        # A line of a longer value.
        '' | [0-9]* | *[!A-Za-z0-9_]*) continue ;;
        @foreign@) unset "$_elt_name"; continue ;;
        @places@) continue ;;
    esac
    eval "_elt_value=\${$_elt_name-}"
    case $_elt_value in
        "$_elt_virtual" | "$_elt_virtual"/* | "$_elt_conda" | "$_elt_conda"/*) unset "$_elt_name" ;;
    esac
done

IFS=:
_elt_path=@search@
for _elt_one in ${PATH-@path@}; do
    case ${_elt_one%/} in
        '' | "$_elt_virtual/bin" | "$_elt_conda/bin") ;;
        *) _elt_path=$_elt_path:$_elt_one ;;
    esac
done
IFS=$_elt_ifs
set +f
@variables@export PATH="$_elt_path" PYTHONNOUSERSITE=1 PYTHONDONTWRITEBYTECODE=1
