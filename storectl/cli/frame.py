"""Typer, bent to our rules: lazy nouns, global options anywhere, plain help.

A noun's module makes an `App` and adds commands to it; everything else follows:

    app = App("Datasets: append items, read them back in any format.")

    @app.command("push", aliases=("push-items",))
    def push(ctx: Context, ref: Ref, ...) -> None: ...
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeVar

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption
from typer.main import get_command_from_info
from typer.models import CommandInfo

from storectl.cli import ALIASES, COMMANDS, page
from storectl.cli.context import Session
from storectl.cli.flags import GLOBAL, Flag
from storectl.errors import InvalidInput

Function = TypeVar("Function", bound=Callable[..., Any])
Infos = dict[str, "CommandInfo | App | str"]
"""Commands by name in the order of help; an App is a group of them, a text is where one
is that comes later."""

Bring = Callable[[str], "CommandInfo | App"]


class Context(typer.Context):
    """Typer's context, whose obj is always the Session of the run."""

    obj: Session


class GlobalOption(TyperOption):
    """A global option: it stands in every command and leaves its value in the session."""

    def __init__(self, flag: Flag) -> None:
        super().__init__(
            param_decls=[flag.name, *flag.opts],
            is_flag=flag.metavar is None,
            type=None if flag.metavar is None else str,
            metavar=flag.metavar,
            expose_value=False,
            callback=self._keep,
            help=flag.help,
            hidden=True,
        )
        self.choices = flag.choices

    @staticmethod
    def _keep(ctx: typer.Context, param: Any, value: Any) -> None:
        if value is not None and not ctx.resilient_parsing:
            ctx.obj.flags[param.name] = value


GLOBALS = [GlobalOption(flag) for flag in GLOBAL]


class Command(TyperCommand):
    """One verb. Takes the global options beside its own and shows a plain page of help.

    A command that knows --dry-run has a parameter `dry_run`; others refuse the flag.
    """

    context_class = Context  # type: ignore[assignment]

    def get_params(self, ctx: Any) -> list[Any]:
        mine = super().get_params(ctx)
        taken = {param.name for param in self.params}
        return [*mine, *(option for option in GLOBALS if option.name not in taken)]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, _with_json_value(args, self.get_params(ctx), True))

    def invoke(self, ctx: Any) -> Any:
        if ctx.obj.flags.get("dry_run"):
            if "dry_run" not in ctx.params:
                raise InvalidInput(f"{ctx.command_path} has no --dry-run")
            ctx.params["dry_run"] = True
        return super().invoke(ctx)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        mine: list[Any] = super().get_params(ctx)
        mine = [param for param in mine if not param.hidden]
        arguments = [_argument_row(p) for p in mine if isinstance(p, TyperArgument)]
        options = [_option_row(p) for p in mine if isinstance(p, TyperOption)]
        text = page.page(
            " ".join([ctx.command_path, *_usage(mine)]),
            self.help or "",
            [("Arguments", arguments), ("Options", options)],
        )
        formatter.write(text + "\n" + page.global_names())


class Group(TyperGroup):
    """A noun: its verbs by name and by hidden alias. Only the verb that runs is built.

    infos: the verbs of an app, some of which it only brings when it is asked for them.
    """

    context_class = Context  # type: ignore[assignment]

    def __init__(
        self, name: str, help: str, infos: Infos, aliases: dict[str, str], bring: Bring
    ) -> None:
        super().__init__(name=name, help=help, rich_markup_mode=None)
        self.infos, self.aliases, self._bring = infos, aliases, bring
        self.commands = dict.fromkeys(infos, self)  # names to suggest from

    @property
    def verbs(self) -> dict[str, Command | Group]:
        """Every verb, built."""
        found = {name: self.verb(name) for name in self.infos}
        return {name: verb for name, verb in found.items() if not verb.hidden}

    def verb(self, name: str) -> Command | Group:
        """One verb, or a group of verbs, by its true name. KeyError if there is none."""
        found = self._bring(name)
        if isinstance(found, App):
            return found.group()
        command = get_command_from_info(found, pretty_exceptions_short=False, rich_markup_mode=None)
        assert isinstance(command, Command)
        return command

    def get_params(self, ctx: Any) -> list[Any]:
        return [*super().get_params(ctx), *GLOBALS]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        args = _with_json_value(args, self.get_params(ctx), False)
        rest = super().parse_args(ctx, args)
        if not rest and not ctx._protected_args and not ctx.resilient_parsing:
            typer.echo(ctx.get_help())
            raise typer.Exit
        return rest

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        name = self.aliases.get(cmd_name, cmd_name)
        return self.verb(name) if name in self.infos else None

    def format_help(self, ctx: Any, formatter: Any) -> None:
        rows = [(name, _first_line(verb.help)) for name, verb in self.verbs.items()]
        text = page.page(
            f"{ctx.command_path} COMMAND [ARGS]", self.help or "", [("Commands", rows)]
        )
        formatter.write(text + "\n" + page.global_names())


class Root(Group):
    """storectl itself. A command's module is imported when its name is looked up."""

    def __init__(self) -> None:
        super().__init__("storectl", "", {}, ALIASES, App("").bring)
        self.context_settings = {"help_option_names": ["-h", "--help"]}
        self.commands = dict.fromkeys(COMMANDS, self)

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        entry = COMMANDS.get(self.aliases.get(cmd_name, cmd_name))
        if entry is None:
            return None
        app: App = getattr(import_module(f"storectl.cli.{entry.module}"), entry.app)
        group = app.group()
        return group if entry.command is None else group.verb(entry.command)

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        formatter.write(page.root())


class App(typer.Typer):
    """The commands of one noun. The first line of help is its line in root help."""

    def __init__(self, help: str) -> None:
        super().__init__(add_completion=False, rich_markup_mode=None)
        self.help = help
        self.infos: Infos = {}
        self.aliases: dict[str, str] = {}

    def command(  # type: ignore[override]
        self, name: str | None = None, *, aliases: tuple[str, ...] = (), **more: Any
    ) -> Callable[[Function], Function]:
        """Add a command. aliases are accepted and never shown."""
        self.aliases.update(dict.fromkeys(aliases, str(name)))
        register = super().command(name, cls=Command, **more)

        def add(function: Function) -> Function:
            register(function)
            self.infos[str(name)] = self.registered_commands[-1]
            return function

        return add

    def nest(self, name: str, app: App) -> None:
        """Add the commands of another app under one name: `dataset access ls`."""
        self.infos[name] = app

    def later(self, adds: str, *names: str, aliases: dict[str, str] | None = None) -> None:
        """Commands of another module, imported when one of them is asked for.

        adds: `MODULE:FUNCTION` in cli/, a function that adds them to this app.
        """
        self.infos.update(dict.fromkeys(names, adds))
        self.aliases.update(aliases or {})

    def bring(self, name: str) -> CommandInfo | App:
        """One command, or a group, by its true name. KeyError if there is none."""
        found = self.infos[name]
        if isinstance(found, str):
            module, _, function = found.partition(":")
            getattr(import_module(f"storectl.cli.{module}"), function)(self)
            found = self.infos[name]
        assert not isinstance(found, str)
        return found

    def group(self) -> Group:
        """The commands, ready to run."""
        return Group("", self.help, self.infos, self.aliases, self.bring)


def run(args: list[str], session: Session) -> int:
    """Parse and run one command line; the exit code that the command chose.

    Failures are raised, also those of usage (typer.TyperException).
    """
    root = Root()
    session.args = args
    try:
        with root.make_context("storectl", session.expand_alias(args), obj=session) as ctx:
            root.invoke(ctx)
    except typer.Exit as exit:
        return exit.exit_code
    return 0


def _with_json_value(args: list[str], params: list[Any], whole: bool) -> list[str]:
    """Write a bare `--json` as `--json=`: its value is optional, and Typer knows no such option.

    whole: options may stand among arguments, as in a command; in a group they end
    at the first word. A `--json` which is the value of another option stays.
    """
    valued = {
        name
        for param in params
        if isinstance(param, TyperOption) and not (param.is_flag or param.count)
        for name in param.opts
        if name != "--json"
    }
    done: list[str] = []
    is_value = False
    for at, arg in enumerate(args):
        if is_value:
            is_value = False
        elif arg == "--" or (not whole and not arg.startswith("-")):
            return done + args[at:]
        elif arg == "--json":
            arg = "--json="
        else:
            is_value = arg in valued
        done.append(arg)
    return done


def _usage(params: list[Any]) -> list[str]:
    words = []
    if any(isinstance(p, TyperOption) for p in params):
        words.append("[OPTIONS]")
    for param in params:
        if isinstance(param, TyperArgument):
            name = _metavar(param) + ("..." if param.nargs == -1 else "")
            words.append(name if param.required else f"[{name}]")
    return words


def _metavar(param: Any) -> str:
    return param.metavar or (param.name or "").upper()


def _argument_row(param: Any) -> tuple[str, str]:
    return _metavar(param), param.help or ""


def _option_row(param: Any) -> tuple[str, str]:
    names = ", ".join([*sorted(param.opts, key=len), *param.secondary_opts])
    if not param.is_flag and not param.count:
        names += " " + _metavar(param)
    text = param.help or ""
    if param.name == "help":
        text = "Print this."
    if param.default not in (None, False, "") and param.show_default and not param.is_flag:
        text += f" [default: {param.default}]"
    return names, text


def _first_line(text: str | None) -> str:
    return inspect.cleandoc(text or "").partition("\n")[0]
