/**
 * Transfer syntaxes that lose information (PS3.5 section A.4): JPEG, JPEG-LS, JPEG 2000, JPIP, MPEG, HEVC, JPEG XL, HTJ2K, as the
 * last part of their UIDs. Those that may be either count as well.
 */
const last = new Set([
  50, 51, 52, 53, 54, 55, 56, 59, 60, 61, 62, 63, 64, 81, 91, 93, 94, 95, 100, 101, 102, 103, 104, 105, 106, 107, 108,
  112, 203, 204, 205,
]);
const root = '1.2.840.10008.1.2.4.';

/**
 * Whether transcoding to a transfer syntax creates another instance, with its own SOP Instance UID (PS3.3 section C.12.4.1).
 */
export function isLossySyntax(transferSyntaxUid: string): boolean {
  return transferSyntaxUid.startsWith(root) && last.has(Number(transferSyntaxUid.slice(root.length)));
}
