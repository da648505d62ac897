import type { ManifestInstance } from '../contract/index.ts';

/** What an association can propose: 128 odd identifiers (PS3.8 section 9.3.2.2). */
const maxContexts = 128;

export interface ContextGroup {
  readonly contexts: { readonly abstractSyntax: string; readonly transferSyntaxes: readonly string[] }[];
  readonly instances: ManifestInstance[];
}

/**
 * Divides instances into groups of which each fits one association: one presentation context for each pair of SOP class
 * and transfer syntax, so that the receiver accepts exactly what is stored. Nearly always it is one group.
 */
export function groupByContexts(instances: readonly ManifestInstance[]): {
  groups: ContextGroup[];
  unknown: ManifestInstance[];
} {
  const groups: ContextGroup[] = [];
  const unknown: ManifestInstance[] = [];
  const groupOf = new Map<string, ContextGroup>();
  for (const instance of instances) {
    const { sopClassUid, transferSyntaxUid } = instance;
    if (sopClassUid === undefined || transferSyntaxUid === undefined) {
      unknown.push(instance);
      continue;
    }
    const pair = `${sopClassUid} ${transferSyntaxUid}`;
    let group = groupOf.get(pair);
    if (!group) {
      const last = groups.at(-1);
      group = last && last.contexts.length < maxContexts ? last : { contexts: [], instances: [] };
      if (group !== last) groups.push(group);
      group.contexts.push({ abstractSyntax: sopClassUid, transferSyntaxes: [transferSyntaxUid] });
      groupOf.set(pair, group);
    }
    group.instances.push(instance);
  }
  return { groups, unknown };
}
