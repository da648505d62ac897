import { DispatchError } from '@dicom-dispatch/core';

export function notAnExternalType(type: string): DispatchError {
  return new DispatchError('config-invalid', `${type} is neither a package nor a path`, {
    remedy: 'Write package:NAME for an npm package, package:./PATH or package:/PATH for a file or folder.',
  });
}

export function noModule(type: string, folder: string): DispatchError {
  return new DispatchError('handler-missing', `${type} was not found in ${folder}`, {
    remedy: 'Install the package where the configuration file is, or correct the path.',
  });
}

/** The module threw an error while it was loaded. The text of its error is shown: it is about code, not about patients. */
export function broken(type: string, thrown: unknown): DispatchError {
  const text = thrown instanceof Error ? `${thrown.name}: ${thrown.message}`.split('\n', 1)[0] : typeof thrown;
  return new DispatchError('config-invalid', `${type} cannot be loaded: ${text?.slice(0, 300)}`, {
    cause: thrown,
    remedy: 'Repair the package, or install its missing dependencies.',
  });
}

export function notAHandler(type: string, problems: readonly string[]): DispatchError {
  return new DispatchError('config-invalid', `${type} is not a target handler: ${problems.join('; ')}`, {
    remedy: 'Use a version of the package that is compatible with this dicom-dispatch (docs/targets/external.md).',
  });
}

/** @param cause - error of the schema, whose `issues` have the paths of the options */
export function wrongOptions(targetName: string, issues: readonly string[], cause: Error): DispatchError {
  const text = `the options of the target ${targetName} are wrong: ${issues.join('; ')}`;
  return new DispatchError('config-invalid', text, { cause });
}
