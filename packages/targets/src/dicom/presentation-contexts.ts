import { DispatchError, hasPixelData, isCompressed, isLossySyntax } from '@dicom-dispatch/core';
import { canBecomeImplicitVr, isUid, MAX_CONTEXTS, TRANSFER_SYNTAX } from 'dicom-dimse';
import type { ManifestInstance } from '@dicom-dispatch/target-kit';
import type { AnyDicomTarget } from './schema.ts';

export interface ProposedContext {
  readonly abstractSyntax: string;
  readonly transferSyntaxes: readonly string[];
}

export interface ContextGroup {
  readonly contexts: ProposedContext[];
  readonly instances: ManifestInstance[];
}

/** An instance that cannot be offered to any receiver, and why. */
export interface Unproposable {
  readonly instance: ManifestInstance;
  readonly error: DispatchError;
}

export type SyntaxOptions = Pick<AnyDicomTarget, 'transferSyntaxes' | 'transcode'>;

const { explicitVrLittleEndian, implicitVrLittleEndian } = TRANSFER_SYNTAX;

/** Default transfer syntaxes for transcoding. */
const uncompressed = [explicitVrLittleEndian, implicitVrLittleEndian];

/** The transfer syntax in which an instance is sent, and how it is converted. */
export interface Encoding {
  readonly transferSyntaxUid: string;
  /** `stored`: as the source has it; `re-encoded`: by us, in Implicit VR; `transcoded`: by the source. */
  readonly how: 'stored' | 're-encoded' | 'transcoded';
}

/**
 * Divides instances into groups that each fit one association: one presentation context per pair of SOP class
 * and transfer syntax, so that the receiver accepts or rejects each pair. Almost always there is one group.
 */
export function groupByContexts(
  instances: readonly ManifestInstance[],
  options: SyntaxOptions,
): { groups: ContextGroup[]; unproposable: Unproposable[] } {
  const groups: ContextGroup[] = [];
  const unproposable: Unproposable[] = [];
  const groupOf = new Map<string, ContextGroup>();
  const proposed = new Set<string>();
  for (const instance of instances) {
    const reason = whyUnproposable(instance);
    if (reason !== undefined) {
      unproposable.push({ instance, error: new DispatchError('instance-unsupported', reason) });
      continue;
    }
    const { sopClassUid = '', transferSyntaxUid = '' } = instance;
    const pair = `${sopClassUid} ${transferSyntaxUid}`;
    let group = groupOf.get(pair);
    if (!group) {
      const syntaxes = proposals(instance, options);
      const last = groups.at(-1);
      group = last && last.contexts.length + syntaxes.length <= MAX_CONTEXTS ? last : { contexts: [], instances: [] };
      if (group !== last) {
        groups.push(group);
        proposed.clear();
      }
      for (const syntax of syntaxes) {
        if (proposed.has(`${sopClassUid} ${syntax}`)) continue;
        proposed.add(`${sopClassUid} ${syntax}`);
        group.contexts.push({ abstractSyntax: sopClassUid, transferSyntaxes: [syntax] });
      }
      groupOf.set(pair, group);
    }
    group.instances.push(instance);
  }
  return { groups, unproposable };
}

/** Why an instance cannot be part of an A-ASSOCIATE-RQ or a C-STORE-RQ (PS3.8 annex F, PS3.5 section 9.1); otherwise undefined. */
function whyUnproposable({ sopClassUid, transferSyntaxUid, sopInstanceUid }: ManifestInstance): string | undefined {
  if (sopClassUid === undefined) return 'the SOP Class UID of the instance is unknown';
  if (transferSyntaxUid === undefined) return 'the file of the instance does not name its transfer syntax';
  if (!isUid(sopClassUid)) return `the SOP class UID ${shown(sopClassUid)}is malformed`;
  if (!isUid(transferSyntaxUid)) return `the transfer syntax UID ${shown(transferSyntaxUid)}is malformed`;
  // The receiver decides about other errors in a SOP Instance UID.
  if (!/^[!-[\]-~]{1,64}$/.test(sopInstanceUid)) return 'the SOP Instance UID is malformed';
  return undefined;
}

/** A malformed UID may contain anything, also patient data: it is shown only if it resembles a UID. */
function shown(uid: string): string {
  return /^[0-9][0-9A-Za-z._-]{0,63}$/.test(uid) ? `${uid} ` : '';
}

/** The syntaxes to propose for an instance, best first. Implicit VR Little Endian is always among them (PS3.5 section 10.1). */
function proposals(instance: ManifestInstance, options: SyntaxOptions): readonly string[] {
  const { transferSyntaxUid: stored = '' } = instance;
  const { transcode } = options;
  const first = transcode === 'always' ? [] : [stored];
  const others = transcode === 'never' ? [] : wantedFor(instance, options);
  return [...new Set([...first, ...others, implicitVrLittleEndian])];
}

/** Transfer syntaxes to which an instance may be transcoded: without pixel data none that compresses them. */
function wantedFor(instance: ManifestInstance, { transferSyntaxes }: SyntaxOptions): readonly string[] {
  if (!transferSyntaxes || hasPixelData(instance)) return transferSyntaxes ?? uncompressed;
  const native = transferSyntaxes.filter((syntax) => !isCompressed(syntax));
  return native.length > 0 ? native : [instance.transferSyntaxUid ?? '', ...uncompressed];
}

/** How an instance is sent to a receiver that accepts what `canStore` returns; undefined if it cannot be sent. */
export function chooseEncoding(
  instance: ManifestInstance,
  options: SyntaxOptions,
  canStore: (sopClassUid: string, transferSyntaxUid: string) => boolean,
): Encoding | undefined {
  const { sopClassUid = '', transferSyntaxUid: stored = '' } = instance;
  const { transferSyntaxes, transcode } = options;
  const isAccepted = (syntax: string): boolean => canStore(sopClassUid, syntax);
  const isAllowed = (syntax: string): boolean => transferSyntaxes?.includes(syntax) ?? true;
  if (transcode !== 'always' && isAllowed(stored) && isAccepted(stored)) return as(stored);
  const wanted = transcode === 'never' ? [implicitVrLittleEndian].filter(isAllowed) : wantedFor(instance, options);
  // Lossy compression would create another instance: a lossy transfer syntax is chosen only for instances that are stored in it.
  const chosen = wanted.find((syntax) => isAccepted(syntax) && (syntax === stored || !isLossySyntax(syntax)));
  if (chosen === undefined) return undefined;
  if (chosen === stored) return as(stored);
  if (chosen === implicitVrLittleEndian && canBecomeImplicitVr(stored)) return as(chosen, 're-encoded');
  return transcode === 'never' ? undefined : as(chosen, 'transcoded');
}

function as(transferSyntaxUid: string, how: Encoding['how'] = 'stored'): Encoding {
  return { transferSyntaxUid, how };
}

/** The error for an instance whose encodings the receiver does not accept. */
export function unsupported(
  { sopClassUid, transferSyntaxUid }: ManifestInstance,
  { transferSyntaxes, transcode }: SyntaxOptions,
): DispatchError {
  const isListed = transferSyntaxes?.includes(transferSyntaxUid ?? '') ?? true;
  return new DispatchError(
    'instance-unsupported',
    isListed || transcode !== 'never'
      ? `the receiver does not accept SOP class ${sopClassUid} with transfer syntax ${transferSyntaxUid}`
      : `transfer syntax ${transferSyntaxUid} is not among the transferSyntaxes of the target`,
    {
      remedy:
        transcode === 'never'
          ? 'Allow both at the receiver, or set transcode: fallback for the target.'
          : 'Allow the SOP class at the receiver, with one of the transferSyntaxes of the target.',
    },
  );
}
