"""storectl completion: scripts made from the tree of commands. A TAB starts no Python."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import typer
from typer.core import TyperArgument, TyperOption

from storectl.cli import COMMANDS, report
from storectl.cli.flags import GLOBAL
from storectl.cli.frame import App, Command, Context, Group, Root
from storectl.config import replace_file
from storectl.model.access import ON_KIND, RIGHTS
from storectl.model.storage import NOUNS

app = App("Completion.")

SHELLS = ("bash", "zsh", "fish", "powershell")


WORDS = {
    ("report", "fail_on"): report.KINDS,
    ("create", "scope"): tuple(f"{noun}:{what}" for noun in NOUNS for what in (*RIGHTS, *ON_KIND)),
}
"""By verb and parameter: the words of an option that takes several, joined or repeated."""


class Word(NamedTuple):
    """One thing to complete. choices: values of an option; takes_value: it wants one."""

    text: str
    help: str
    takes_value: bool = False
    choices: tuple[str, ...] = ()


class Place(NamedTuple):
    """One command: the words before it, the words it takes, and its options."""

    path: str
    commands: list[Word]
    options: list[Word]


@app.command("completion")
def completion(
    ctx: Context,
    shell: Annotated[
        Literal["bash", "zsh", "fish", "powershell"],
        typer.Argument(metavar="bash|zsh|fish|powershell", help="Your shell.", show_default=False),
    ],
    install: Annotated[
        bool, typer.Option("--install", help="Put it where the shell finds it.")
    ] = False,
) -> None:
    """Print or install the completion of a shell.

    Examples:
      storectl completion bash --install
      storectl completion zsh > ~/.zfunc/_storectl
    """
    text = script(shell)
    if not install:
        ctx.obj.output.lines([text.rstrip("\n")])
        return
    path = installed_at(shell)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, text.encode(), mode=0o644)
    ctx.obj.output.did(f"Wrote {path}", str(path), {"path": str(path)})
    ctx.obj.output.note(AFTERWARDS[shell].format(path=path))


AFTERWARDS = {
    "bash": "New shells have it if bash-completion is installed; else add to ~/.bashrc:\n"
    "  source {path}",
    "zsh": "New shells have it if ~/.zshrc says, before compinit:\n  fpath+=({path.parent})",
    "fish": "New shells have it.",
    "powershell": "New shells have it if your $PROFILE says:\n  . {path}",
}


def installed_at(shell: str) -> Path:
    """Where --install puts the script."""
    home = Path.home()
    data = Path(os.environ.get("XDG_DATA_HOME") or home / ".local/share")
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    return {
        "bash": data / "bash-completion/completions/storectl",
        "zsh": home / ".zfunc/_storectl",
        "fish": config / "fish/completions/storectl.fish",
        "powershell": config / "powershell/storectl.ps1",
    }[shell]


def script(shell: str) -> str:
    """The completion script of a shell."""
    return {"bash": _bash, "zsh": _zsh, "fish": _fish, "powershell": _powershell}[shell](places())


def places() -> list[Place]:
    """Every command, root first."""
    root = Root()
    ctx: Any = None
    found = [Place("", [Word(name, e.summary) for name, e in COMMANDS.items()], [])]
    for name in COMMANDS:
        found += _below(name, root.get_command(ctx, name))
    return found


def _below(path: str, command: Any) -> Iterator[Place]:
    if isinstance(command, Group):
        verbs = command.verbs
        yield Place(path, [Word(name, _first(verb.help)) for name, verb in verbs.items()], [])
        for name, verb in verbs.items():
            yield from _below(f"{path} {name}", verb)
    else:
        yield Place(path, list(_arguments(command)), list(_options(command)))


def _arguments(command: Command) -> Iterator[Word]:
    for param in command.params:
        if isinstance(param, TyperArgument):
            yield from (Word(str(choice), "") for choice in getattr(param.type, "choices", ()))


def _options(command: Command) -> Iterator[Word]:
    for param in command.params:
        if isinstance(param, TyperOption) and not param.hidden:
            choices = tuple(map(str, getattr(param.type, "choices", ())))
            choices = choices or WORDS.get((command.name or "", param.name or ""), ())
            for name in param.opts:
                yield Word(name, _first(param.help), not param.is_flag, choices)


def _globals() -> list[Word]:
    words = [
        Word(name, flag.help, bool(flag.metavar) and flag.name != "json", flag.choices)
        for flag in GLOBAL
        if flag.name != "dry_run"
        for name in flag.opts
    ]
    return [*words, Word("--help", "Print help.")]


def _first(text: str | None) -> str:
    return (text or "").strip().partition("\n")[0]


def _valued(found: list[Place]) -> list[str]:
    """Options that take the next word, of any command."""
    words = [word for place in found for word in place.options] + _globals()
    return sorted({word.text for word in words if word.takes_value})


def _choices(found: list[Place]) -> dict[tuple[str, str], tuple[str, ...]]:
    """The values of options with choices, by path and option; * for options of all commands."""
    mine = {(p.path, w.text): w.choices for p in found for w in p.options if w.choices}
    return mine | {("*", word.text): word.choices for word in _globals() if word.choices}


def _pattern(path: str, option: str) -> str:
    """A pattern of `case` for a path and an option."""
    return f'*" {option}"' if path == "*" else f'"{path} {option}"'


def _bash(found: list[Place]) -> str:
    paths = "|".join(f'"{place.path}"' for place in found if place.path)
    words = "\n".join(
        f'        "{p.path}") words="{" ".join(w.text for w in p.commands)}"'
        f' options="{" ".join(w.text for w in p.options)}" ;;'
        for p in found
    )
    values = "\n".join(
        f"        {_pattern(path, option)})"
        f' COMPREPLY=($(compgen -W "{" ".join(values)}" -- "$cur")); return ;;'
        for (path, option), values in _choices(found).items()
    )
    return f"""# bash completion for storectl. Made by: storectl completion bash
_storectl() {{
    local cur="${{COMP_WORDS[COMP_CWORD]}}" prev="${{COMP_WORDS[COMP_CWORD-1]}}"
    local path="" next word words options i
    local globals="{" ".join(w.text for w in _globals())}"
    for ((i = 1; i < COMP_CWORD; i++)); do
        word="${{COMP_WORDS[i]}}"
        case "$word" in
        {"|".join(_valued(found))}) ((i++)); continue ;;
        -*) continue ;;
        esac
        next="${{path:+$path }}$word"
        case "$next" in
        {paths}) path="$next" ;;
        *) break ;;
        esac
    done
    case "$path $prev" in
{values}
    esac
    case "$prev" in
        {"|".join(_valued(found))}) COMPREPLY=(); return ;;
    esac
    case "$path" in
{words}
    esac
    if [[ "$cur" == -* ]]; then
        COMPREPLY=($(compgen -W "$options $globals" -- "$cur"))
    else
        COMPREPLY=($(compgen -W "$words" -- "$cur"))
    fi
}}
complete -o default -F _storectl storectl
"""


def _zsh(found: list[Place]) -> str:
    def quoted(word: Word) -> str:
        text = f"{word.text}:{word.help}".replace("'", "'\\''")
        return f"'{text}'"

    cases = "\n".join(
        f'        "{p.path}")\n'
        f"            words_here=({' '.join(map(quoted, p.commands))})\n"
        f"            options=({' '.join(map(quoted, p.options))}) ;;"
        for p in found
    )
    values = "\n".join(
        f"        {_pattern(path, option)}) compadd -- {' '.join(values)}; return ;;"
        for (path, option), values in _choices(found).items()
    )
    paths = "|".join(f'"{place.path}"' for place in found if place.path)
    return f"""#compdef storectl
# zsh completion for storectl. Made by: storectl completion zsh
_storectl() {{
    local at="" next word i
    local -a words_here options globals
    globals=({" ".join(map(quoted, _globals()))})
    for ((i = 2; i < CURRENT; i++)); do
        word="${{words[i]}}"
        case "$word" in
        {"|".join(_valued(found))}) ((i++)); continue ;;
        -*) continue ;;
        esac
        next="${{at:+$at }}$word"
        case "$next" in
        {paths}) at="$next" ;;
        *) break ;;
        esac
    done
    case "$at ${{words[CURRENT-1]}}" in
{values}
    esac
    case "${{words[CURRENT-1]}}" in
        {"|".join(_valued(found))}) _files; return ;;
    esac
    case "$at" in
{cases}
    esac
    if [[ "$PREFIX" == -* ]]; then
        options+=($globals)
        _describe -o option options
    elif (( ${{#words_here}} )); then
        _describe command words_here
    else
        _files
    fi
}}
if [ "$funcstack[1]" = "_storectl" ]; then _storectl "$@"; else compdef _storectl storectl; fi
"""


def _fish(found: list[Place]) -> str:
    def quoted(text: str) -> str:
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"

    def option(word: Word, at: str = "") -> str:
        kind = "l" if word.text.startswith("--") else "s"
        more = f" -x -a {quoted(' '.join(word.choices))}" if word.choices else ""
        more = more or (" -r" if word.takes_value else "")
        name = word.text.lstrip("-")
        return f"complete -c storectl{at} -{kind} {name}{more} -d {quoted(word.help)}"

    lines = [option(word) for word in _globals()]
    for place in found:
        at = f" -n '__storectl_at {place.path}'"
        lines += [
            f"complete -c storectl{at} -f -a {word.text} -d {quoted(word.help)}"
            for word in place.commands
        ]
        lines += [option(word, at) for word in place.options]
    paths = " ".join(quoted(place.path) for place in found if place.path)
    return f"""# fish completion for storectl. Made by: storectl completion fish
function __storectl_at
    set -l at ""
    set -l skip 0
    for word in (commandline -opc)[2..-1]
        if test $skip = 1
            set skip 0
            continue
        end
        if contains -- $word {" ".join(_valued(found))}
            set skip 1
            continue
        end
        string match -q -- '-*' $word; and continue
        set -l next (string trim -- "$at $word")
        contains -- $next {paths}; or break
        set at $next
    end
    test "$at" = "$argv"
end
{chr(10).join(lines)}
"""


def _powershell(found: list[Place]) -> str:
    def quoted(text: str) -> str:
        return "'" + text.replace("'", "''") + "'"

    def table(words: list[Word]) -> str:
        return "; ".join(f"{quoted(w.text)} = {quoted(w.help or w.text)}" for w in words)

    rows = "\n".join(
        f"        {quoted(p.path)} = @{{ commands = [ordered]@{{ {table(p.commands)} }};"
        f" options = [ordered]@{{ {table(p.options)} }} }}"
        for p in found
    )
    valued = ", ".join(map(quoted, _valued(found)))
    return f"""# PowerShell completion for storectl. Made by: storectl completion powershell
Register-ArgumentCompleter -Native -CommandName storectl -ScriptBlock {{
    param($wordToComplete, $commandAst, $cursorPosition)
    $places = @{{
{rows}
    }}
    $globals = [ordered]@{{ {table(_globals())} }}
    $valued = @({valued})
    $at = ''
    $skip = $false
    foreach ($element in $commandAst.CommandElements | Select-Object -Skip 1) {{
        $word = $element.ToString()
        if ($element.Extent.EndOffset -ge $cursorPosition) {{ break }}
        if ($skip) {{ $skip = $false; continue }}
        if ($valued -contains $word) {{ $skip = $true; continue }}
        if ($word.StartsWith('-')) {{ continue }}
        $next = ("$at $word").Trim()
        if (-not $places.ContainsKey($next)) {{ break }}
        $at = $next
    }}
    $place = $places[$at]
    $words = if ($wordToComplete.StartsWith('-')) {{
        @($place.options.GetEnumerator()) + @($globals.GetEnumerator())
    }} else {{
        @($place.commands.GetEnumerator())
    }}
    foreach ($entry in $words) {{
        if ($entry.Key -like "$wordToComplete*") {{
            [System.Management.Automation.CompletionResult]::new(
                $entry.Key, $entry.Key, 'ParameterValue', $entry.Value)
        }}
    }}
}}
"""
