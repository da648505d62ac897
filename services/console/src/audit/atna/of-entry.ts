import { hostname } from 'node:os';
import type { AuditEntry } from '../audit-entry.ts';
import type { RefusedEvent } from '../refused-events.ts';
import { codes, type AuditMessage, type Participant } from './audit-message.ts';

/** Names of actions of the audit log that use the audit log itself. */
export const auditLogActions: readonly string[] = ['read audit log', 'export audit log'];

/** Sign-in, sign-out, download of a study, or use of the audit log; undefined for actions without a message in PS3.15. */
export function messageOfEntry(entry: Omit<AuditEntry, 'hash' | 'id'>): AuditMessage | undefined {
  const { action, at, outcome } = entry;
  const common = { at, outcome: outcome === 'done' ? 0 : 8 } as const;
  if (action === 'sign-in' || action === 'sign-out') {
    // PS3.15 A.5.3.12
    return {
      ...common,
      event: codes.userAuthentication,
      type: action === 'sign-in' ? codes.login : codes.logout,
      action: 'E',
      outcomeDescription: entry.detail,
      participants: [person(entry), ourProcess(false)],
      objects: [],
    };
  }
  if (action === 'download study: end') return messageOfDownload(entry, common);
  if (!auditLogActions.includes(action)) return undefined;
  // PS3.15 A.5.3.2
  return {
    ...common,
    event: codes.auditLogUsed,
    action: 'R',
    participants: [person(entry), ourProcess(false)],
    objects: [{ id: 'audit-log', idType: codes.uri, type: 2, role: 13, name: 'Security Audit Log' }],
  };
}

/** The download of a study of a target, as an export (PS3.15 A.5.3.4). Its patient is unknown: the study need not be in a source. */
function messageOfDownload(
  entry: Omit<AuditEntry, 'hash' | 'id'>,
  common: Pick<AuditMessage, 'at' | 'outcome'>,
): AuditMessage {
  const instances = Number(/(\d+) instances$/.exec(entry.detail)?.[1] ?? 0);
  const { userId, userName, accessPoint } = person(entry);
  return {
    ...common,
    event: codes.export,
    action: 'R',
    outcomeDescription: entry.outcome === 'done' ? undefined : entry.detail,
    participants: [
      person(entry),
      { ...ourProcess(false), role: codes.source },
      {
        userId: `download of ${userId}`,
        userName,
        accessPoint,
        isRequestor: false,
        role: codes.destinationMedia,
        media: codes.mediaUri,
      },
    ],
    objects: [
      { id: entry.subject, idType: codes.studyInstanceUid, type: 2, role: 3, description: { instances } },
      { id: 'unknown', idType: codes.patientNumber, type: 1, role: 1 },
    ],
  };
}

/** A failed sign-in: a minor failure, since it can be repeated. Undefined for other events. */
export function messageOfRefusal(event: RefusedEvent): AuditMessage | undefined {
  if (event.action !== 'sign-in') return undefined;
  const often = event.count > 1 ? `, ${event.count} times within a minute` : '';
  return {
    event: codes.userAuthentication,
    type: codes.login,
    action: 'E',
    at: event.at,
    outcome: 4,
    outcomeDescription: `${event.detail}${often}`,
    participants: [person(event), ourProcess(false)],
    objects: [],
  };
}

/** A search in the sources, as entered (PS3.15 A.5.3.10). */
export function messageOfQuery(query: {
  readonly at: number;
  readonly who: string;
  readonly address: string;
  readonly text: string | undefined;
  readonly sources: string;
}): AuditMessage {
  return {
    event: codes.query,
    action: 'E',
    at: query.at,
    outcome: 0,
    participants: [
      { ...ourProcess(false), role: codes.source },
      { userId: query.sources, userName: 'Orthanc', isRequestor: false, role: codes.destination },
      person(query),
    ],
    objects: [
      {
        id: query.sources,
        idType: codes.searchCriteria,
        type: 2,
        role: 3,
        query: query.text ?? 'not stored: the key of the console has changed since',
      },
    ],
  };
}

function person({ who, address }: { readonly who: string; readonly address: string }): Participant {
  return {
    userId: `${who || 'unknown'}@${hostname()}`,
    userName: who || undefined,
    isRequestor: true,
    accessPoint: address || hostname(),
  };
}

/** This process as a participant of an audit message. */
export function ourProcess(isRequestor: boolean): Participant {
  return { userId: String(process.pid), userName: 'dicom-dispatch console', isRequestor, accessPoint: hostname() };
}
