import { randomBytes } from 'node:crypto';

/**
 * The boundary of one request: new for each request and unpredictable (160 bits), so that no instance contains it, by chance or on
 * purpose (RFC 2046 section 5.1.1).
 */
export function newBoundary(): string {
  return `dicom-dispatch-${randomBytes(20).toString('hex')}`;
}

/** The Content-Type of a STOW-RS request (PS3.18 section 8.7.3.5). */
export function multipartType(boundary: string): string {
  return `multipart/related; type="application/dicom"; boundary=${boundary}`;
}
