import { isIP } from 'node:net';
import { element, escapeXml } from './xml.ts';

/** A code of PS3.16, or of RFC 3881. */
export interface Code {
  readonly code: string;
  readonly system: 'DCM' | 'RFC-3881';
  readonly meaning: string;
}

const dcm = (code: string, meaning: string): Code => ({ code, system: 'DCM', meaning });

/** PS3.16, CID 400 (events), 401 (types), 402 (roles), 404 and 405 (objects, media), as far as we use them. */
export const codes = {
  auditLogUsed: dcm('110101', 'Audit Log Used'),
  instancesTransferred: dcm('110104', 'DICOM Instances Transferred'),
  export: dcm('110106', 'Export'),
  query: dcm('110112', 'Query'),
  userAuthentication: dcm('110114', 'User Authentication'),
  login: dcm('110122', 'Login'),
  logout: dcm('110123', 'Logout'),
  destination: dcm('110152', 'Destination Role ID'),
  source: dcm('110153', 'Source Role ID'),
  destinationMedia: dcm('110154', 'Destination Media'),
  mediaUri: dcm('110037', 'URI'),
  studyInstanceUid: dcm('110180', 'Study Instance UID'),
  patientNumber: { code: '2', system: 'RFC-3881', meaning: 'Patient Number' },
  searchCriteria: { code: '10', system: 'RFC-3881', meaning: 'Search Criteria' },
  uri: { code: '12', system: 'RFC-3881', meaning: 'URI' },
} as const satisfies Record<string, Code>;

/** EventOutcomeIndicator (PS3.15 A.5.2): success, minor failure (it may be tried again), serious failure. */
export type Outcome = 0 | 4 | 8;

export interface Participant {
  readonly userId: string;
  readonly alternativeUserId?: string | undefined;
  readonly userName?: string | undefined;
  readonly isRequestor: boolean;
  readonly role?: Code;
  /** Host name, IP address or URI. */
  readonly accessPoint?: string | undefined;
  /** It is media, of this type. */
  readonly media?: Code;
}

export interface ParticipantObject {
  readonly id: string;
  readonly idType: Code;
  readonly type: 1 | 2;
  readonly role: 1 | 3 | 13;
  /** The schema requires one of the two. */
  readonly name?: string;
  readonly query?: string;
  readonly description?: {
    readonly accession?: string | undefined;
    readonly instances?: number;
    readonly isAnonymized?: boolean;
  };
}

export interface AuditMessage {
  readonly event: Code;
  readonly type?: Code;
  readonly action: 'C' | 'R' | 'U' | 'D' | 'E';
  /** ms since 1970 */
  readonly at: number;
  readonly outcome: Outcome;
  readonly outcomeDescription?: string | undefined;
  readonly participants: readonly Participant[];
  readonly objects: readonly ParticipantObject[];
}

export interface AuditSource {
  readonly sourceId: string;
  readonly siteId?: string | undefined;
}

/** An audit message as XML (PS3.15 A.5.1), on one line. */
export function auditMessageXml(message: AuditMessage, source: AuditSource): string {
  const { event, type, action, at, outcome, outcomeDescription, participants, objects } = message;
  return element(
    'AuditMessage',
    {},
    element(
      'EventIdentification',
      { EventActionCode: action, EventDateTime: new Date(at).toISOString(), EventOutcomeIndicator: outcome },
      coded('EventID', event),
      type && coded('EventTypeCode', type),
      outcomeDescription ? element('EventOutcomeDescription', {}, escapeXml(outcomeDescription)) : undefined,
    ),
    ...participants.map((one) => participantXml(one)),
    element(
      'AuditSourceIdentification',
      { AuditEnterpriseSiteID: source.siteId, AuditSourceID: source.sourceId },
      // An application server.
      element('AuditSourceTypeCode', { 'csd-code': 4 }),
    ),
    ...objects.map((one) => objectXml(one)),
  );
}

function coded(name: string, { code, system, meaning }: Code): string {
  return element(name, { 'csd-code': code, codeSystemName: system, originalText: meaning });
}

function participantXml(one: Participant): string {
  const { accessPoint } = one;
  return element(
    'ActiveParticipant',
    {
      UserID: one.userId,
      AlternativeUserID: one.alternativeUserId,
      UserName: one.userName,
      UserIsRequestor: one.isRequestor,
      NetworkAccessPointID: accessPoint,
      NetworkAccessPointTypeCode: accessPoint === undefined ? undefined : accessPointType(accessPoint),
    },
    one.role && coded('RoleIDCode', one.role),
    one.media && element('MediaIdentifier', {}, coded('MediaType', one.media)),
  );
}

/** 1: a name, 2: an IP address, 5: a URI. */
function accessPointType(accessPoint: string): 1 | 2 | 5 {
  if (accessPoint.includes('://')) return 5;
  return isIP(accessPoint) === 0 ? 1 : 2;
}

function objectXml(one: ParticipantObject): string {
  const { description } = one;
  return element(
    'ParticipantObjectIdentification',
    { ParticipantObjectID: one.id, ParticipantObjectTypeCode: one.type, ParticipantObjectTypeCodeRole: one.role },
    coded('ParticipantObjectIDTypeCode', one.idType),
    one.query === undefined
      ? element('ParticipantObjectName', {}, escapeXml(one.name || 'unknown'))
      : element('ParticipantObjectQuery', {}, Buffer.from(one.query).toString('base64')),
    description &&
      element(
        'ParticipantObjectDescription',
        {},
        description.accession ? element('Accession', { Number: description.accession }) : undefined,
        description.instances === undefined
          ? undefined
          : element('SOPClass', { NumberOfInstances: description.instances }),
        description.isAnonymized === undefined
          ? undefined
          : element('Anonymized', {}, String(description.isAnonymized)),
      ),
  );
}
