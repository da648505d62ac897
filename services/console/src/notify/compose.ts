import type { NotificationKind } from '@dicom-dispatch/core';
import type { StudyLabel } from '../source/source-lookup.ts';
import type { Notification } from './notification.ts';

/** What is sent: one message about one thing or about many. */
export interface Message {
  /** The same for every try to send it: the receiver can tell a repetition by it. */
  readonly id: string;
  /** One line on all of it. */
  readonly summary: string;
  readonly count: number;
  readonly events: readonly (Notification & {
    readonly study?: Omit<StudyLabel, 'orthancStudyId' | 'studyInstanceUid'>;
  })[];
  /** How many more there are that the message does not list. */
  readonly more: number;
}

const mostListed = 100;

const words: Readonly<Record<NotificationKind, (count: number) => string>> = {
  delivered: (count) => `${deliveries(count)} arrived`,
  partial: (count) => `${deliveries(count)} arrived in part`,
  failed: (count) => `${deliveries(count)} failed`,
  'source-gone': (count) => `${deliveries(count)} lost because the study left the source`,
  'circuit-opened': () => 'cannot be reached',
  'circuit-closed': () => 'can be reached again',
  'backlog-old': () => 'has an old backlog',
};

export function compose(
  id: string,
  notifications: readonly Notification[],
  labels: ReadonlyMap<string, StudyLabel> = new Map(),
): Message {
  const listed = notifications.slice(0, mostListed);
  return {
    id,
    summary: summarize(notifications),
    count: notifications.length,
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
  const byTarget = Map.groupBy(notifications, ({ target }) => target);
  return [...byTarget]
    .map(([target, list]) => {
      const byKind = Map.groupBy(list, ({ kind }) => kind);
      const parts = [...byKind].map(([kind, ones]) => {
        const codes = [...new Set(ones.map(({ code }) => code).filter((code) => code !== undefined && code !== kind))];
        return `${words[kind](ones.length)}${codes.length > 0 ? ` (${codes.join(', ')})` : ''}`;
      });
      return `${target}: ${parts.join(', ')}`;
    })
    .join('; ');
}

/** A message as text, for e-mail. */
export function lines(message: Message, console: string): string {
  const list = message.events.map((one) => {
    const when = new Date(one.at).toISOString().replace('T', ' ').slice(0, 19);
    const study = one.study
      ? ` [${[one.study.accessionNumber, one.study.patientId, one.study.description].filter(Boolean).join(', ')}]`
      : '';
    const link = one.deliveryId === undefined ? '' : `\n    ${console}/deliveries/${one.deliveryId}`;
    return `- ${when} UTC ${one.target}: ${words[one.kind](1)}${study}${one.message === undefined ? '' : `: ${one.message}`}${one.remedy === undefined ? '' : `\n    ${one.remedy}`}${link}`;
  });
  if (message.more > 0) list.push(`- and ${message.more} more`);
  return list.join('\n');
}

function deliveries(count: number): string {
  return `${count} ${count === 1 ? 'delivery' : 'deliveries'}`;
}
