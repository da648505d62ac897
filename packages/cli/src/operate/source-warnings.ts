import { isLossySyntax, type Config, type Problem } from '@dicom-dispatch/core';
import { openSource } from '@dicom-dispatch/sources';

const askWithinMs = 1_500;

/** Lossless transfer syntaxes (PS3.5 section A.4) that Orthanc supports without plugins, with DCMTK: tested with 1.10.1. */
const made: ReadonlySet<string> = new Set([
  '1.2.840.10008.1.2',
  '1.2.840.10008.1.2.1',
  '1.2.840.10008.1.2.1.99',
  '1.2.840.10008.1.2.2',
  '1.2.840.10008.1.2.4.57',
  '1.2.840.10008.1.2.4.70',
  '1.2.840.10008.1.2.4.80',
]);

/** Transfer syntaxes that a plugin adds: RLE and JPEG 2000. */
const madeBy: ReadonlyMap<string, string> = new Map([
  ['1.2.840.10008.1.2.5', 'gdcm'],
  ['1.2.840.10008.1.2.4.90', 'gdcm'],
]);

/**
 * Warns of transfer syntaxes into which instances are to be transcoded, and that a source does not support: its deliveries would
 * fail. The plugins of an unavailable source are unknown, so a missing plugin is not reported for it.
 */
export async function sourceWarnings(config: Config): Promise<Problem[]> {
  const wishes = wantedSyntaxes(config);
  if (wishes.length === 0) return [];
  const sources = await Promise.all(
    Object.entries(config.sources).map(async ([name, source]) => ({ name, plugins: await pluginsOf(source) })),
  );
  return wishes.flatMap(({ path, uid }) =>
    sources.flatMap(({ name, plugins }): Problem[] => {
      const plugin = madeBy.get(uid);
      if (plugin === undefined) {
        return [{ path, message: `${uid} cannot be created by the source ${name}: Orthanc has no encoder for it` }];
      }
      if (!plugins || plugins.includes(plugin)) return [];
      return [
        { path, message: `${uid} cannot be created by the source ${name}: install the Orthanc plugin ${plugin} there` },
      ];
    }),
  );
}

interface Wish {
  readonly path: Problem['path'];
  readonly uid: string;
}

/** All transfer syntaxes that Orthanc does not support without plugins, with their place in the configuration. */
function wantedSyntaxes({ transforms, targets }: Config): Wish[] {
  const ofTransforms = Object.entries(transforms).flatMap(([name, { transferSyntax: uid }]) =>
    uid === undefined ? [] : [{ path: ['transforms', name, 'transferSyntax'], uid }],
  );
  const ofTargets = Object.entries(targets).flatMap(([name, target]) => {
    const { transcode = 'never', transferSyntaxes = [] } = target as TranscodingTarget;
    if (transcode === 'never') return [];
    // Instances stored in them are sent unchanged; one supported transfer syntax is sufficient for the others.
    if (transcode === 'fallback' && transferSyntaxes.some((uid) => made.has(uid))) return [];
    const wanted = transcode === 'always' ? transferSyntaxes.slice(0, 1) : transferSyntaxes;
    return wanted.map((uid, at) => ({ path: ['targets', name, 'transferSyntaxes', at], uid }));
  });
  // Lossy ones are rejected for another reason.
  return [...ofTransforms, ...ofTargets].filter(({ uid }) => !made.has(uid) && !isLossySyntax(uid));
}

interface TranscodingTarget {
  readonly transcode?: 'never' | 'fallback' | 'always';
  readonly transferSyntaxes?: readonly string[];
}

async function pluginsOf(source: Config['sources'][string]): Promise<readonly string[] | undefined> {
  try {
    await using orthanc = await openSource(source);
    return await orthanc.plugins({ signal: AbortSignal.timeout(askWithinMs) });
  } catch {
    return undefined;
  }
}
