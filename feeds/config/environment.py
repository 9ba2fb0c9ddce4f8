"""The environment of one process: variables FEEDS_* over the file `.env` beside `config/`.

A variable is named once, by its field: `secret_key` is FEEDS_SECRET_KEY. Pages, the reference and the log's list of secrets are
derived from the fields. Invariant: what is or holds a secret is a `SecretStr`, which prints as asterisks.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from dotenv import dotenv_values
from pydantic import BeforeValidator, Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

PREFIX = "FEEDS_"
#: Variables that override the setting of the same name in site.yaml.
OVERRIDES = ("store", "base_url")
Flag = Annotated[bool, BeforeValidator(lambda value: value not in ("", "0", False))]


class Environment(BaseSettings):
    """Settings of this process alone; never stored. `config_dir` is absolute.

    Read it with `Environment.read(folder)`; `environment.model_copy(update={...})` makes a changed one.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True
    )
    config_dir: Path
    store: str = Field(default="", description="over `store`; a relative path is taken from where the command is given")
    base_url: str = Field(default="", description="over `base_url`")
    database_url: SecretStr = Field(
        default=SecretStr("sqlite:///var/feeds.db"),
        description="where everything is kept: `sqlite:///PATH` (a relative one is taken from the folder that holds `config/`) "
        "or `postgresql://USER:PASSWORD@HOST/NAME`",
    )
    smtp_url: SecretStr = Field(
        default=SecretStr(""),
        description="what carries mail with `transport: smtp`: `smtp://user:pass@host:587` (STARTTLS is required unless "
        "`?starttls=0`), `smtps://` for TLS from the first byte; several are separated by blanks",
    )
    imap_url: SecretStr = Field(
        default=SecretStr(""), description="mailbox that bounces are read from: `imaps://user:pass@host/INBOX`"
    )
    secret_key: SecretStr = Field(
        default=SecretStr(""),
        description="signs the links in mails; where it is not set, a secret that the database keeps does",
    )
    operator_token: SecretStr = Field(
        default=SecretStr(""),
        description="opens the console, `/operator/`, and as bearer `/metrics` from anywhere; without it there is no console",
    )
    log: str = Field(
        default="auto",
        description="shape of the log on stderr, one event a line: `console` for eyes, `logfmt`, `json`; `auto` is the first "
        "on a terminal and logfmt elsewhere; `--log-format` is over it",
    )
    access_log: Flag = Field(default=False, description="`1`: an event for each request; the same as `--access-log`")

    @classmethod
    def read(cls, config_dir: Path, environ: Mapping[str, str] = os.environ) -> Environment:
        """Return the environment of the site whose settings are in `config_dir`.

        `environ` goes over the file `.env` beside `config/`, which is read verbatim: `$` is not expanded. An empty variable
        counts as not set.
        """
        return cls(config_dir=config_dir.absolute(), environ=environ)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take variables from the `environ` that was given, and from `.env` without interpolation."""
        given: dict[str, Any] = init_settings.init_kwargs  # type: ignore[attr-defined]
        assert isinstance(env_settings, EnvSettingsSource)
        file = given["config_dir"].parent / ".env"  # for commands that people type: a service manager reads it itself
        kept = dotenv_values(file, interpolate=False, encoding="utf-8") if file.is_file() else {}
        variables = {**kept, **{name: value for name, value in given.pop("environ", {}).items() if value}}
        env_settings.env_vars = {name.lower(): value for name, value in variables.items() if value and name.isupper()}
        return init_settings, env_settings

    @field_validator("database_url")
    @classmethod
    def _from_root(cls, url: SecretStr, info: ValidationInfo) -> SecretStr:
        return SecretStr(_located(url.get_secret_value(), info.data["config_dir"].parent))

    @property
    def root(self) -> Path:
        """Return the folder that holds config/, templates/ and var/."""
        return self.config_dir.parent

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return the values of all fields that are a secret, or hold one."""
        return tuple(value.get_secret_value() for _name, value in self if isinstance(value, SecretStr))

    def locate(self, url: str) -> str:
        """Return the address of another database that is written as FEEDS_DATABASE_URL is: relative paths from the root."""
        return _located(url, self.root)


def variable(field: str) -> str:
    """Return the name of the variable of a field of `Environment`.

    >>> variable("secret_key")
    'FEEDS_SECRET_KEY'
    """
    return f"{PREFIX}{field.upper()}"


def _located(url: str, root: Path) -> str:
    path = url.removeprefix("sqlite:///")
    return url if path == url or path.startswith("/") else f"sqlite:///{root / path}"
