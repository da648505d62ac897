import { networkMatcher, type ConsoleConfig } from '@dicom-dispatch/core';

/**
 * Which addresses on the way of a request are proxies of ours, counted from us: only what these wrote is believed. The
 * first address that is none of them is the client's; what that one claims of itself counts for nothing.
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
