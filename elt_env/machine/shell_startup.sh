# Read by the shell of `elt-env shell`: the person's own startup file, then what must hold after it.

if [ -f "$_ELT_STARTUP" ]; then
    . "$_ELT_STARTUP"
fi

# Once more, for what that file may have set.
unset PYTHONPATH PYTHONHOME PYTHONSTARTUP LD_LIBRARY_PATH LD_PRELOAD VIRTUAL_ENV
eval "${_ELT_VARIABLES-}"
PATH=$_ELT_BIN:$PATH
PS1="($_ELT_LABEL) ${PS1-}"
export PATH

unset ENV _ELT_BIN _ELT_LABEL _ELT_STARTUP _ELT_VARIABLES
