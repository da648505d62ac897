export { connect } from './association/connect.ts';
export type { ConnectOptions } from './association/connect.ts';
export { connectGroup, splitPresentationContexts } from './association/connect-group.ts';
export type { AssociationGroup } from './association/connect-group.ts';
export { probeTls } from './association/probe-tls.ts';
export type { TlsFacts } from './association/probe-tls.ts';
export { Association } from './association/association.ts';
export type { OperationOptions } from './association/association.ts';
export { MAX_CONTEXTS, isUid } from './association/contexts.ts';
export type { AcceptedContext, PresentationContextRequest, RejectedContext } from './association/contexts.ts';
export type {
  CommonExtendedNegotiation,
  ExtendedNegotiation,
  OperationsWindow,
  PeerInformation,
  RoleSelection,
  UserIdentity,
} from './association/negotiate.ts';
export { PRIORITY } from './dimse/command-set.ts';
export type { Priority } from './dimse/command-set.ts';
export { STATUS_TABLE, describeStatus } from './dimse/status.ts';
export type { DimseStatus, StatusClass, StatusService } from './dimse/status.ts';
export { DimseError, isDimseError } from './errors/dimse-error.ts';
export type { DimseErrorCode } from './errors/dimse-error.ts';
export type { Observer, ObserverEvent, PduName } from './observer.ts';
export type { ByteSource } from './part10/byte-source.ts';
export { digestElements } from './part10/digest-elements.ts';
export type { DigestElementsOptions, ElementDigests } from './part10/digest-elements.ts';
export { encodeFileMeta } from './part10/encode-file-meta.ts';
export type { FileMetaFields } from './part10/encode-file-meta.ts';
export { openPart10 } from './part10/open-part10.ts';
export type { OpenedPart10 } from './part10/open-part10.ts';
export { peekPart10 } from './part10/peek-part10.ts';
export type { PeekedPart10 } from './part10/peek-part10.ts';
export { readPart10 } from './part10/read-part10.ts';
export type { Part10Head, ReadPart10Options } from './part10/read-part10.ts';
export { canBecomeImplicitVr, toImplicitVr } from './part10/to-implicit-vr.ts';
export type { Part10Element } from './part10/read-elements.ts';
export type { FileMeta, KnownFile } from './part10/file-meta.ts';
export type { OpenPart10Options } from './part10/open-part10.ts';
export type { AbortReason, RejectReason } from './pdu/reasons.ts';
export { createServer } from './server/create-server.ts';
export type { DimseServer, ServerOptions } from './server/create-server.ts';
export type { AcceptorOptions, ProposedContext } from './server/accept-association.ts';
export type { AcceptableContext, AssociationRequest, Verdict } from './server/answer-request.ts';
export type { DataSetInput, EncodedDataSet } from './operations/data-set-input.ts';
export type { FindMatch, FindRequest } from './operations/find.ts';
export type {
  IncomingHandlers,
  IncomingInstance,
  IncomingNRequest,
  NAnswer,
  StoreAnswer,
} from './operations/incoming.ts';
export type {
  FindAnswer,
  GetAnswer,
  IncomingMove,
  IncomingQuery,
  MoveAnswer,
  QueryHandlers,
} from './operations/incoming-query.ts';
export type { ActionRequest, EventReportRequest, NResult } from './operations/n-services.ts';
export type { GetRequest, MoveRequest, RetrieveProgress, RetrieveResult } from './operations/retrieve.ts';
export type { StoreOptions, StoreResult } from './operations/store-options.ts';
export { TLS_PROFILES } from './tls/profiles.ts';
export type { TlsProfile, TlsProfileName } from './tls/profiles.ts';
export type { Pem, TlsClientOptions, TlsServerOptions } from './tls/tls-options.ts';
export { IMPLEMENTATION, TRANSFER_SYNTAX, UID } from './uids.ts';
