import { formatDuration } from '@dicom-dispatch/core';
import type { StudyLabel } from '../source/source-lookup.ts';
import type { Notification } from './notification.ts';

export type Event = Notification & {
  readonly study?: Omit<StudyLabel, 'orthancStudyId' | 'studyInstanceUid'>;
};

/** Events of one kind, with one error, about one target or source. */
export interface EventGroup {
  readonly target: string;
  readonly source?: string;
  readonly kind: Notification['kind'];
  readonly code?: string;
  readonly count: number;
  /** ms since 1970 */
  readonly firstAt: number;
  readonly lastAt: number;
  /** Summary on one line, such as `12 deliveries failed (target-full)`. */
  readonly summary: string;
  /** Error message of the newest event. */
  readonly message?: string;
  readonly remedy?: string;
  /** URL of the page of the console that lists the events. */
  readonly url: string;
}

/** A message about one or more events. */
export interface Message {
  /** The same for every attempt to send the message, so that the receiver can detect a repetition. */
  readonly id: string;
  /** Summary of all groups on one line. */
  readonly summary: string;
  readonly count: number;
  readonly groups: readonly EventGroup[];
  readonly events: readonly Event[];
  /** Number of events that are counted, but not in `events`. */
  readonly more: number;
}

const maxListed = 100;
/** Maximum number of examples of a group. */
const maxExamples = 5;

const words: Readonly<Record<Notification['kind'], (count: number) => string>> = {
  delivered: (count) => `${deliveries(count)} arrived`,
  partial: (count) => `${deliveries(count)} arrived partially`,
  failed: (count) => `${deliveries(count)} failed`,
  'source-gone': (count) => `${deliveries(count)} not delivered because the study left the source`,
  'circuit-opened': () => 'cannot be reached',
  'circuit-closed': () => 'can be reached again',
  'backlog-old': () => 'has an old backlog',
  'backlog-cleared': () => 'no longer has an old backlog',
  'source-down': () => 'is down',
  'source-up': () => 'is available again',
  problem: () => 'problem',
  'problem-over': () => 'solved',
  'weekly-summary': () => 'weekly summary',
  test: () => 'test',
};

/** Kinds that are ended deliveries, which the console lists by state and error. */
const stateOf: Partial<Record<Notification['kind'], string>> = {
  delivered: 'delivered',
  partial: 'partial',
  failed: 'failed',
  'source-gone': 'source-gone',
};

export function compose(
  id: string,
  notifications: readonly Notification[],
  labels: ReadonlyMap<string, StudyLabel> = new Map(),
  console = '',
): Message {
  const listed = notifications.slice(0, maxListed);
  const groups = group(notifications, console);
  return {
    id,
    summary: summarize(notifications),
    count: notifications.length,
    groups,
    more: notifications.length - listed.length,
    events: listed.map((one) => {
      const label = labels.get(`${one.source ?? ''} ${one.orthancStudyId ?? ''}`);
      if (!label) return one;
      const { orthancStudyId: _, studyInstanceUid: __, ...study } = label;
      return Object.assign({ study }, one);
    }),
  };
}

/** `pacs: 12 deliveries failed (target-full); cloud: cannot be reached`. */
export function summarize(notifications: readonly Notification[]): string {
  const bySubject = Map.groupBy(notifications, subjectOf);
  return [...bySubject]
    .map(([subject, list]) => {
      const byKind = Map.groupBy(list, ({ kind }) => kind);
      const parts = [...byKind].map(([kind, ones]) => {
        const codes = [...new Set(ones.map(({ code }) => code).filter((code) => code !== undefined && code !== kind))];
        return `${words[kind](ones.length)}${codes.length > 0 ? ` (${codes.join(', ')})` : ''}`;
      });
      return subject === '' ? parts.join(', ') : `${subject}: ${parts.join(', ')}`;
    })
    .join('; ');
}

/** A message as text, group by group, with some examples of each. */
export function lines(message: Message, console: string): string {
  return message.groups
    .map((one) => {
      const examples = stateOf[one.kind] === undefined ? [] : message.events.filter((event) => isOf(one, event));
      const shown = examples
        .slice(0, maxExamples)
        .map((event) => `    ${time(event.at)} ${console}/deliveries/${event.deliveryId ?? ''}${label(event)}`);
      const more = one.count - shown.length;
      return [
        `- ${subjectOf(one)}${subjectOf(one) === '' ? '' : ': '}${one.summary}, ${span(one)}`,
        ...(one.message === undefined ? [] : one.message.split('\n').map((line) => `    ${line}`)),
        ...(one.remedy === undefined ? [] : [`    ${one.remedy}`]),
        ...shown,
        ...(shown.length > 0 && more > 0 ? [`    and ${more} more`] : []),
        `    ${one.url}`,
      ].join('\n');
    })
    .join('\n');
}

function group(notifications: readonly Notification[], console: string): EventGroup[] {
  return [...Map.groupBy(notifications, (one) => [subjectOf(one), one.kind, one.code].join(' ')).values()].map(
    (ones) => {
      const newest = ones.reduce((last, one) => (one.at >= last.at ? one : last));
      const { target, source, kind, code, message, remedy, since } = newest;
      const state = stateOf[kind];
      const outage = since === undefined ? '' : ` after ${formatDuration(Math.max(0, newest.at - since))}`;
      return {
        target,
        ...(target === '' && source !== undefined && { source }),
        kind,
        ...(code !== undefined && { code }),
        count: ones.length,
        firstAt: Math.min(...ones.map(({ at }) => at)),
        lastAt: newest.at,
        summary: `${words[kind](ones.length)}${code !== undefined && code !== kind ? ` (${code})` : ''}${outage}`,
        ...(message !== undefined && { message }),
        ...(remedy !== undefined && { remedy }),
        url: console + (state === undefined ? (newest.path ?? pathOf(newest)) : listOf(target, state, code)),
      };
    },
  );
}

function listOf(target: string, state: string, code: string | undefined): string {
  return `/deliveries?${new URLSearchParams({ target, state, ...(code !== undefined && { code }) }).toString()}`;
}

function pathOf({ target, source }: Notification): string {
  return target === '' ? (source === undefined ? '/' : '/sources') : `/targets/${encodeURIComponent(target)}`;
}

function isOf(one: EventGroup, event: Event): boolean {
  return one.target === event.target && one.kind === event.kind && one.code === event.code;
}

function subjectOf({ target, source }: { readonly target: string; readonly source?: string | undefined }): string {
  return target === '' ? (source ?? '') : target;
}

function label({ study }: Event): string {
  const shown = [study?.accessionNumber, study?.patientId, study?.description].filter(Boolean).join(', ');
  return shown === '' ? '' : ` [${shown.replaceAll(/\s+/g, ' ')}]`;
}

function span({ firstAt, lastAt }: EventGroup): string {
  return firstAt === lastAt ? `${time(firstAt)} UTC` : `${time(firstAt)} to ${time(lastAt)} UTC`;
}

function time(at: number): string {
  return new Date(at).toISOString().replace('T', ' ').slice(0, 19);
}

function deliveries(count: number): string {
  return `${count} ${count === 1 ? 'delivery' : 'deliveries'}`;
}
