import type { ManifestInstance } from './manifest.ts';

/**
 * SOP classes without pixel data (PS3.4 section B.5, PS3.3 annex A, edition 2024e): spectroscopy, waveforms, presentation
 * states, raw data, registrations, fiducials, surfaces, tractography, measurements, reports, documents, plans and the like.
 */
const withoutPixels = new RegExp(
  `^1\\.2\\.840\\.10008\\.5\\.1\\.4\\.(?:${[
    String.raw`1\.1\.(?:4\.2|66|67|131)`,
    String.raw`1\.1\.(?:9|11|68|78|79|80|88|90|91|104|200|201)\..+`,
    String.raw`1\.1\.66\.[12356]`,
    String.raw`1\.1\.77\.1\.5\.3`,
    String.raw`1\.1\.481\.(?:[3-9]|1\d|2[0-25-9])`,
    String.raw`(?:34|38|39|43|44|45)\..+`,
  ].join('|')})$`,
);

/** Syntaxes in which there need be no pixels: all others are of compressed pixel data (PS3.5 section 10). */
const nativeSyntaxes = new Set([
  '1.2.840.10008.1.2',
  '1.2.840.10008.1.2.1',
  '1.2.840.10008.1.2.1.99',
  '1.2.840.10008.1.2.2',
]);

/** Whether an instance has pixel data, according to its SOP class and transfer syntax: then it can be transcoded. */
export function hasPixelData({
  sopClassUid,
  transferSyntaxUid,
}: Pick<ManifestInstance, 'sopClassUid' | 'transferSyntaxUid'>): boolean {
  if (isCompressed(transferSyntaxUid)) return true;
  return sopClassUid === undefined || !withoutPixels.test(sopClassUid);
}

/** Whether a transfer syntax is one of compressed pixel data. */
export function isCompressed(transferSyntaxUid: string | undefined): boolean {
  return transferSyntaxUid !== undefined && !nativeSyntaxes.has(transferSyntaxUid);
}
