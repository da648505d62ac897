/** Options that had another name: path of the option (`*` for any name) to what it is called now. */
const renamed: Readonly<Record<string, string>> = {
  'targets.*.associations': 'maxParallel',
  'targets.*.requests': 'maxParallel',
  'targets.*.parallel': 'maxParallel',
  'targets.*.lanes': 'maxParallel',
  'targets.*.answerTimeout': 'timeout',
  'targets.*.responseTimeout': 'timeout',
  'targets.*.verifyWait': 'verifyTimeout',
  'targets.*.minRate': 'minBytesPerSecond',
};

/** What an unknown option is called now, where it had that name once. */
export function newNameOf(path: readonly (string | number)[]): string | undefined {
  const [section = '', , ...option] = path;
  const key = [section === 'targetDefaults' ? 'targets' : section, '*', ...option].join('.');
  return Object.hasOwn(renamed, key) ? renamed[key] : undefined;
}
