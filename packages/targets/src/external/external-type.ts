/** How a configuration names a handler from outside: `type: package:NAME` or `type: package:./PATH`. */
const prefix = 'package:';
const packageName = /^(@[a-z0-9~-][a-z0-9._~-]*\/)?[a-z0-9~-][a-z0-9._~-]*(\/[A-Za-z0-9._~/-]+)?$/;

export type ExternalSource =
  | { readonly kind: 'package'; readonly name: string }
  | { readonly kind: 'file'; readonly path: string };

export function isExternal(type: string): boolean {
  return type.startsWith(prefix);
}

/** Undefined if the text after `package:` is neither the name of an npm package nor a path. */
export function parseExternalType(type: string): ExternalSource | undefined {
  if (!isExternal(type)) return undefined;
  const rest = type.slice(prefix.length);
  if (/^(\.{1,2}\/|\/)/.test(rest)) return { kind: 'file', path: rest };
  if (rest.length <= 214 && packageName.test(rest) && !rest.includes('..')) return { kind: 'package', name: rest };
  return undefined;
}
