import { COMPLETE_COMMAND, type Shell } from './built-in-commands.ts';

/** A script for the shell that asks the program what can follow on a line that begins with its name. */
export function completionScript(program: string, shell: Shell): string {
  const name = `_${program.replace(/[^a-z0-9]/g, '_')}`;
  return SCRIPTS[shell](program, name);
}

const SCRIPTS: Readonly<Record<Shell, (program: string, name: string) => string>> = {
  bash: (program, name) => `# bash completion for ${program}:  source <(${program} completion bash)
${name}() {
  local line
  COMPREPLY=()
  while IFS= read -r line; do
    COMPREPLY+=("\${line%%$'\\t'*}")
  done < <("\${COMP_WORDS[0]}" ${COMPLETE_COMMAND} "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o default -F ${name} ${program}
`,
  zsh: (program, name) => `#compdef ${program}
# zsh completion for ${program}:  source <(${program} completion zsh)
${name}() {
  local line
  local -a candidates
  while IFS= read -r line; do
    if [[ $line == *$'\\t'* ]]; then
      candidates+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
    else
      candidates+=("\${line//:/\\\\:}")
    fi
  done < <("\${words[1]}" ${COMPLETE_COMMAND} "\${(@)words[2,CURRENT]}" 2>/dev/null)
  _describe '${program}' candidates
}
compdef ${name} ${program}
`,
  fish: (program, name) => `# fish completion for ${program}:  ${program} completion fish | source
function ${name}
    set -l before (commandline --tokenize --current-process --cut-at-cursor)
    set -l current (commandline --current-token --cut-at-cursor)
    $before[1] ${COMPLETE_COMMAND} $before[2..-1] "$current" 2>/dev/null
end
complete --command ${program} --no-files --arguments '(${name})'
`,
};
