import type { KeyRow } from './key-row.ts';

/** The data as a whole, and the processes that use them. */
export const systemKeys: readonly KeyRow[] = [
  {
    keys: ['format'],
    kind: 'key',
    what: 'version of the format of all keys below (`packages/state/src/keys/migrate.ts`)',
    lives: 'always',
    backup: 'first',
  },
  { keys: ['format-lock'], kind: 'key', what: 'held by the process that migrates', lives: 'a minute', backup: 'no' },
  {
    keys: ['restoring'],
    kind: 'key',
    what: 'the backup that is being put back; no service starts meanwhile',
    lives: 'until all of it is there',
    backup: 'no',
  },
  {
    keys: ['generation'],
    kind: 'key',
    what: 'marks the data as those that every process remembers: a Redis that lost something is noticed by it (docs/decisions/0015-lost-redis.md)',
    lives: 'always',
    backup: 'first',
  },
  {
    keys: ['generation-beats', 'generation-lock'],
    kind: 'key',
    what: 'the last sign of life of each process; held by the router that recovers',
    lives: '7 days after its process has ended; 30 seconds',
    backup: 'no',
  },
  {
    keys: ['processes', 'process:ID'],
    kind: 'key',
    what: 'processes of ours, and what each tells of itself: its services, host and clock',
    lives: '7 days; 20 seconds after the last beat',
    backup: 'no',
  },
  {
    keys: ['routers', 'routers-expected'],
    kind: 'key',
    what: 'routers that run; how many there should be, and since when one is missing',
    lives: '7 days after the last router has ended',
    backup: 'no',
  },
  {
    keys: ['workers', 'worker:ID'],
    kind: 'key',
    what: 'dispatchers, and what each does',
    lives: 'a day; 20 seconds after the last heartbeat',
    backup: 'no',
  },
  {
    keys: ['reload', 'reload:ID:STEP', 'reloads'],
    kind: 'key',
    what: 'calls to read the configuration again (`reload` is a channel), and the answers of each process',
    lives: 'answers: 10 minutes',
    backup: 'no',
  },
];
