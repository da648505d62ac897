import { networkMatcher, type ConsoleConfig } from '@dicom-dispatch/core';

/**
 * Which addresses of a request are trusted proxies, counted from us: only their headers are trusted. The
 * first other address is that of the client; its own headers are ignored.
 */
export function trustedProxies(
  trustProxy: () => ConsoleConfig['trustProxy'],
): (address: string, hop: number) => boolean {
  return (address, hop) => {
    const trusted = trustProxy();
    if (typeof trusted === 'boolean') return trusted && hop < 1;
    if (typeof trusted === 'number') return hop < trusted;
    return networkMatcher(trusted)(address);
  };
}
