/** Sections of a form, in their order. An option that no section names is in `advanced`. */
export const optionGroups = ['basic', 'security', 'speed', 'advanced'] as const;
export type OptionGroup = (typeof optionGroups)[number];

/** Description of a target type: for forms, the JSON Schema and the example configuration. No I/O. */
export interface TargetAbout<Config = never> {
  /** What people call it, e.g. `DICOM receiver`. */
  readonly displayName: string;
  /** One sentence for the selection of a type: what it sends, and where to. */
  readonly purpose: string;
  /** Path data of an SVG icon of 24 × 24 units, drawn as an outline. */
  readonly icon: string;
  /** Which of the type's own options belong to which section. */
  readonly groups: Readonly<Partial<Record<Exclude<OptionGroup, 'advanced'>, readonly string[]>>>;
  /** YAML text by option, for options without a default: initial values of a new target. Secrets as `${NAME}`. */
  readonly example: Readonly<Record<string, string>>;
  /** Where to read more: a page in docs/targets, or an address. */
  readonly help?: string;
  /** A configured target in one line, e.g. `PACS at pacs.example:104, TLS`. No secrets. Default: its place. */
  info?(config: Config): string;
}

/** The sections of the options that every target has. */
export const commonGroups: TargetAbout['groups'] = {
  basic: ['description', 'enabled'],
  speed: ['concurrency', 'rateLimit'],
};

/** The section of an option of a type. */
export function groupOfOption(option: string, groups: TargetAbout['groups']): OptionGroup {
  for (const one of [groups, commonGroups]) {
    const found = optionGroups.find((group) => group !== 'advanced' && one[group]?.includes(option));
    if (found) return found;
  }
  return 'advanced';
}

/** The example values of target types, by path: `targets.dicom.host`. */
export function targetExamples(abouts: Readonly<Record<string, TargetAbout>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(abouts).flatMap(([type, { example }]) =>
      Object.entries(example).map(([option, text]) => [`targets.${type}.${option}`, text] as const),
    ),
  );
}
