import { z } from 'zod';

/** The name of a source, target or rule: part of queue names, keys and addresses, hence these characters only. */
export const configName = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9._-]{0,62}$/,
    'a name has 1 to 63 characters: a-z, 0-9, dot, hyphen, underscore; first a letter or digit',
  );

/** An Application Entity Title (PS3.5 section 6.2, VR AE): 1 to 16 characters, no backslash, not only spaces. */
export const aeTitle = z
  .string()
  .regex(/^(?! *$)[\x20-\x5b\x5d-\x7e]{1,16}$/, 'an AE title has 1 to 16 printable ASCII characters and no backslash');

export const portNumber = z
  .int('a port is a whole number')
  .min(1, 'a port is 1 to 65535')
  .max(65_535, 'a port is 1 to 65535');

/**
 * A host name or address; brackets around an IPv6 address are not needed. It never begins with a hyphen: passed to a
 * program (ssh, rsync) such a name would be an option.
 */
export const hostName = z
  .string()
  .regex(
    /^(?!-)[A-Za-z0-9_.:-]{1,253}$/,
    'a host is a name or an address, without scheme, port or path, not beginning with a hyphen',
  )
  .refine((text) => !/^[^:]*:[^:]*$/.test(text), 'a host has no port: set the option port');
