import { MAX_CONTEXTS, TRANSFER_SYNTAX } from 'dicom-dimse';
import type { ManifestInstance } from '../contract/index.ts';
import type { AnyDicomTarget } from './schema.ts';

export interface ProposedContext {
  readonly abstractSyntax: string;
  readonly transferSyntaxes: readonly string[];
}

export interface ContextGroup {
  readonly contexts: ProposedContext[];
  readonly instances: ManifestInstance[];
}

export type SyntaxOptions = Pick<AnyDicomTarget, 'transferSyntaxes' | 'transcode'>;

/** What every receiver of images takes (PS3.5 section 10.1): where to transcode to when nothing is said. */
const uncompressed = [TRANSFER_SYNTAX.explicitVrLittleEndian, TRANSFER_SYNTAX.implicitVrLittleEndian];

/**
 * Divides instances into groups of which each fits one association: a presentation context for each pair of SOP class
 * and transfer syntax, so that the receiver says of each pair whether it takes it. Nearly always it is one group.
 */
export function groupByContexts(
  instances: readonly ManifestInstance[],
  options: SyntaxOptions,
): { groups: ContextGroup[]; unknown: ManifestInstance[] } {
  const groups: ContextGroup[] = [];
  const unknown: ManifestInstance[] = [];
  const groupOf = new Map<string, ContextGroup>();
  const proposed = new Set<string>();
  for (const instance of instances) {
    const { sopClassUid, transferSyntaxUid } = instance;
    if (sopClassUid === undefined || transferSyntaxUid === undefined) {
      unknown.push(instance);
      continue;
    }
    const pair = `${sopClassUid} ${transferSyntaxUid}`;
    let group = groupOf.get(pair);
    if (!group) {
      const syntaxes = proposals(transferSyntaxUid, options);
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
  return { groups, unknown };
}

/** The syntaxes to propose for an instance, best first. */
function proposals(stored: string, { transferSyntaxes, transcode }: SyntaxOptions): readonly string[] {
  if (transcode === 'always') return transferSyntaxes ?? uncompressed;
  if (transcode === 'fallback') return [...new Set([stored, ...(transferSyntaxes ?? uncompressed)])];
  return [stored];
}

/**
 * The syntax in which an instance goes to a receiver that accepted what `canStore` says; undefined where there is none.
 */
export function chooseSyntax(
  { sopClassUid = '', transferSyntaxUid: stored = '' }: ManifestInstance,
  { transferSyntaxes, transcode }: SyntaxOptions,
  canStore: (sopClassUid: string, transferSyntaxUid: string) => boolean,
): string | undefined {
  const mayGoAsStored = transcode !== 'always' && (transferSyntaxes?.includes(stored) ?? true);
  if (mayGoAsStored && canStore(sopClassUid, stored)) return stored;
  if (transcode === 'never') return undefined;
  return (transferSyntaxes ?? uncompressed).find((syntax) => canStore(sopClassUid, syntax));
}
