# bash completion for amct-distill: verbs, the options that --help lists, files.
_amct_distill() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} program=${COMP_WORDS[0]}
    local verbs help
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        verbs=$("$program" --help 2>/dev/null | sed -n '/^Subcommands:/,/^$/s/^  \([a-z]*\) .*/\1/p')
        COMPREPLY=($(compgen -W "$verbs --help --version" -- "$word"))
        return
    fi
    help=$("$program" "${COMP_WORDS[1]}" --help 2>/dev/null)
    case $before in
    --target) COMPREPLY=($(compgen -W "generic ascend" -- "$word")) ;;
    --resize) COMPREPLY=($(compgen -W "fit fill crop" -- "$word")) ;;
    --order) COMPREPLY=($(compgen -W "rgb bgr" -- "$word")) ;;
    --layout) COMPREPLY=($(compgen -W "nchw nhwc" -- "$word")) ;;
    --format)
        COMPREPLY=($(compgen -W "float qdq-int8 qdq-int4 qdq-int4-clip fake-quant ascend cpp" -- "$word"))
        ;;
    --weights) COMPREPLY=($(compgen -W "8bit 7bit" -- "$word")) ;;
    --log) COMPREPLY=($(compgen -W "text json" -- "$word")) ;;
    --recipe) COMPREPLY=($(compgen -W "amct fast best" -- "$word")) ;;
    --equalize) COMPREPLY=($(compgen -W "none depthwise convolutions" -- "$word")) ;;
    --calibration) COMPREPLY=($(compgen -W "ifmr range" -- "$word")) ;;
    --blocks) COMPREPLY=($(compgen -W "amct residual automatic" -- "$word")) ;;
    --loss) COMPREPLY=($(compgen -W "mean_squared_error fisher" -- "$word")) ;;
    --input) COMPREPLY=($(compgen -W "student teacher mix" -- "$word")) ;;
    *)
        if [[ $word == -* ]]; then
            COMPREPLY=($(compgen -W "$(grep -oE -- '--[a-z][a-z_-]*' <<<"$help" | sort -u)" -- "$word"))
        else
            compopt -o filenames 2>/dev/null
            local IFS=$'\n'
            COMPREPLY=($(compgen -f -- "$word"))
        fi
        ;;
    esac
}
complete -F _amct_distill amct-distill
