import type { KeyRow } from './key-row.ts';

/** The data set as a whole, and the processes that use it. */
export const systemKeys: readonly KeyRow[] = [
  {
    keys: ['format'],
    kind: 'key',
    what: 'version of the format of all keys below (`packages/state/src/keys/migrate.ts`); raised before the step of the migration to it begins',
    lives: 'always',
    backup: 'first',
  },
  {
    keys: ['format-pending'],
    kind: 'key',
    what: 'format whose step of the migration has begun and not ended: commands reject the data, and the next service completes it',
    lives: 'until the step has ended',
    backup: 'no',
  },
  { keys: ['format-lock'], kind: 'key', what: 'lock of the process that migrates', lives: 'a minute', backup: 'no' },
  {
    keys: ['restoring'],
    kind: 'key',
    what: 'the backup that is being restored; no service starts meanwhile',
    lives: 'until the restore is complete',
    backup: 'no',
  },
  {
    keys: ['generation'],
    kind: 'key',
    what: 'identifies the data set that every process has seen: shows that Redis lost data (docs/decisions/0015-lost-redis.md)',
    lives: 'always',
    backup: 'first',
  },
  {
    keys: ['generation-beats', 'generation-lock'],
    kind: 'key',
    what: 'the last heartbeat of each process; lock of the router that recovers',
    lives: '7 days after its process has ended; 30 seconds',
    backup: 'no',
  },
  {
    keys: ['processes', 'process:ID'],
    kind: 'key',
    what: 'running processes with their services, host and clock, a refused configuration, and certificates that need attention',
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
    what: 'dispatchers and their current work',
    lives: 'a day; 20 seconds after the last heartbeat',
    backup: 'no',
  },
  {
    keys: ['reload', 'reload:ID:STEP', 'reloads'],
    kind: 'key',
    what: 'reload requests (`reload` is a channel), and the result of each process',
    lives: 'answers: 10 minutes',
    backup: 'no',
  },
];
