import { parseTemplate } from './parse-template.ts';

/** Keywords of the tags that templates read, so that tags beyond Orthanc's main ones can be requested. */
export interface TemplateTags {
  readonly study: ReadonlySet<string>;
  readonly series: ReadonlySet<string>;
}

/**
 * The tags that the templates in a target's configuration read, anywhere in it. Other texts, and those without
 * placeholders, are skipped.
 */
export function templateTags(config: unknown): TemplateTags {
  const found = { study: new Set<string>(), series: new Set<string>() };
  visit(config, (text) => {
    for (const part of partsOf(text)) {
      if (part.kind === 'tag' && part.level !== 'instance') found[part.level].add(part.keyword);
    }
  });
  return found;
}

function partsOf(text: string) {
  if (!/\{[A-Z]/.test(text)) return [];
  try {
    return parseTemplate(text).flat();
  } catch {
    return [];
  }
}

function visit(value: unknown, see: (text: string) => void): void {
  if (typeof value === 'string') see(value);
  else if (Array.isArray(value)) for (const one of value) visit(one, see);
  else if (value !== null && typeof value === 'object') for (const one of Object.values(value)) visit(one, see);
}
