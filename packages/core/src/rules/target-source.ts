import type { SourceConfig } from '../config/source-config.ts';
import type { TargetConfig } from '../config/target-options.ts';

/** The source that a target is: as configured, or because it has the address of that Orthanc. */
export function sourceOfTarget(
  target: TargetConfig,
  sources: Readonly<Record<string, Pick<SourceConfig, 'url'>>>,
): string | undefined {
  if (target.source !== undefined) return target.source;
  const url = (target as { readonly url?: unknown }).url;
  if (typeof url !== 'string') return undefined;
  const ends = target.type === 'dicomweb' ? ['/dicom-web'] : [''];
  return Object.entries(sources).find(([, source]) => ends.some((end) => isSameServer(url, source.url, end)))?.[0];
}

/** Whether a URL equals another one with `end` appended to its path; names of this machine are equal. */
export function isSameServer(url: string, other: string, end = ''): boolean {
  const one = partsOf(url);
  const two = partsOf(other);
  return one !== undefined && two !== undefined && one.host === two.host && one.path === two.path + end;
}

function partsOf(text: string): { host: string; path: string } | undefined {
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  const name = ['localhost', '[::1]', '127.0.0.1'].includes(url.hostname) ? 'localhost' : url.hostname;
  const port = url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port;
  return { host: `${name}:${port}`, path: url.pathname.replace(/\/+$/, '') };
}
