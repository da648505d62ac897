import type { Config } from '@dicom-dispatch/core';
import { deidentifyingRules, optionsNotDone, profileEdition } from '@dicom-dispatch/sources';
import { table } from './components.ts';
import { html, type Html } from './html.ts';

/** Rules that send de-identified studies, and the options of PS3.15 annex E that they meet; false if there are none. */
export function profileSection(config: Config): Html | false {
  const rules = deidentifyingRules(config);
  if (rules.length === 0) return false;
  return html`<h2>De-identification</h2>
    <p class="muted">
      By the Basic Application Level Confidentiality Profile (PS3.15 ${profileEdition}, table E.1-1), at every level of
      sequences. No transform does: ${optionsNotDone.join(', ')}.
    </p>
    ${table(
      'De-identification',
      ['Rule', 'Targets', 'Transform', 'Basic Profile', 'Options'],
      rules.map(
        ({ rule, targets, transform, report }) =>
          html`<tr>
            <th scope="row">${rule}</th>
            <td>${targets.join(', ')}</td>
            <td>${transform}</td>
            <td class="wide">
              ${report.isMet ? 'met for attributes' : html`<span class="chip warn">⊘ not met</span> ${report.exceptions.join(', ')}`}
            </td>
            <td class="wide">
              ${report.options.map(
                ({ meaning }) =>
                  html`<span class="second">${meaning}${report.partly.includes(meaning) && ', in part'}</span>`,
              )}
            </td>
          </tr>`,
      ),
    )}`;
}
