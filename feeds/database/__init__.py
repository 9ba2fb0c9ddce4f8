"""The database: tables, engines, transactions, locks, migrations, backups, jobs.

`tables` defines what is stored, `engine` opens it (its names are this package's own), `migrations` brings older databases up to
date, `backup` copies one, `jobs` queues work for other processes.
"""

from .engine import HEAD as HEAD
from .engine import after_commit as after_commit
from .engine import check_tables as check_tables
from .engine import chunks as chunks
from .engine import connect as connect
from .engine import connect_once as connect_once
from .engine import conninfo as conninfo
from .engine import continue_keys as continue_keys
from .engine import count_rows as count_rows
from .engine import empty_log as empty_log
from .engine import ensure_tables as ensure_tables
from .engine import fetch_rows as fetch_rows
from .engine import insert_rows as insert_rows
from .engine import is_busy as is_busy
from .engine import is_postgresql as is_postgresql
from .engine import is_temporary as is_temporary
from .engine import lock as lock
from .engine import make_tables as make_tables
from .engine import migrate as migrate
from .engine import place as place
from .engine import reading as reading
from .engine import rewrite as rewrite
from .engine import temporary as temporary
from .engine import version as version
from .engine import versions as versions
from .engine import writing as writing
