import type { KeyRow } from './key-row.ts';

/** Operators: configuration, notifications, audit log, sessions. */
export const operatorKeys: readonly KeyRow[] = [
  {
    keys: ['configuration', 'configuration-version:NUMBER'],
    kind: 'key',
    what: 'with `configuration: redis`: the configuration of all hosts, and its versions; signed with the key of the installation (docs/decisions/0026-configuration-in-redis.md)',
    lives: 'always; the newest 200',
    backup: 'last',
  },
  {
    keys: ['configuration-candidate:ID'],
    kind: 'key',
    what: 'with `configuration: redis`: a change that services check before it becomes the configuration',
    lives: 'five minutes at most',
    backup: 'no',
  },
  {
    keys: ['configuration-draft', 'configuration-lock'],
    kind: 'key',
    what: 'the draft of the configuration in the console, with its base; lock while a draft is applied',
    lives: 'until applied or discarded; a minute',
    backup: 'no',
  },
  {
    keys: ['notify:…'],
    kind: 'key',
    what: 'notifications: a BullMQ queue, events that wait for a digest, sent events',
    lives: 'until sent; a week',
    backup: 'no',
  },
  {
    keys: ['audit', 'audit-head'],
    kind: 'key',
    what: 'what operators did, each entry with a hash over the one before; the hash of the newest',
    lives: '`console.audit.keep`; always',
    backup: 'first',
  },
  {
    keys: ['audit-queries'],
    kind: 'key',
    what: 'searches in the console for an audit record repository, encrypted',
    lives: 'the newest 10,000',
    backup: 'last',
  },
  {
    keys: ['audit-forwarded'],
    kind: 'key',
    what: 'progress of forwarding the audit log to a file and to syslog',
    lives: 'always',
    backup: 'last',
  },
  {
    keys: ['audit-deliveries', 'audit-leader'],
    kind: 'key',
    what: 'deliveries that the audit log to syslog has reported; lease of the console that forwards it',
    lives: '10 minutes; seconds',
    backup: 'no',
  },
  {
    keys: ['refused'],
    kind: 'key',
    what: 'requests that the console rejected, counted per minute',
    lives: 'the newest 20,000',
    backup: 'last',
  },
  {
    keys: ['session:HASH', 'sessions-ended-before'],
    kind: 'key',
    what: 'sessions of the console, and names whose older sessions an administrator has ended',
    lives: 'as configured',
    backup: 'no',
  },
  {
    keys: ['sessions-ended'],
    kind: 'channel',
    what: 'ended sessions, for streams on other consoles',
    lives: '',
    backup: 'no',
  },
  {
    keys: ['sign-in:KIND:WINDOW'],
    kind: 'key',
    what: 'counters of failed attempts to sign in, 16 kB each',
    lives: '16 minutes',
    backup: 'no',
  },
];
