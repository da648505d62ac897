import { select } from '../components.ts';
import { html, type Html } from '../html.ts';

/** Comparisons that the builder supports; other rules are written as an expression. */
const subjects = [
  ['modality', 'Modality'],
  ['study.StudyDescription', 'Study description'],
  ['study.StationName', 'Station name'],
  ['study.InstitutionName', 'Institution'],
  ['study.BodyPartExamined', 'Body part'],
  ['origin.RemoteAET', 'Sent by (AE title)'],
  ['origin.CalledAET', 'Sent to (AE title)'],
  ['source', 'Source'],
  ['age', 'Age in years'],
  ['hour', 'Time of day (hour)'],
] as const;
const operators = [
  ['is', 'is'],
  ['is-not', 'is not'],
  ['contains', 'contains'],
  ['contains-not', 'does not contain'],
  ['like', 'matches (* and ?)'],
  ['like-not', 'does not match (* and ?)'],
  ['at-least', 'is at least'],
  ['below', 'is below'],
] as const;

/** How an expression is tried on studies. */
export interface TryOn {
  /** Path of the API that evaluates it. */
  readonly path: string;
  /** The studies as text; `#` is replaced with their number. */
  readonly studies: string;
  /** Whether each has a page here. */
  readonly hasPages: boolean;
  /** Path of the API for completions; undefined: none. */
  readonly complete?: string;
}

/** Form for common conditions of rules; the script of the page converts between them and the expression. */
export function ruleBuilder({ path, studies, hasPages, complete }: TryOn): Html {
  return html`<fieldset
    data-builder
    data-try="${path}"
    data-studies="${studies}"
    ${hasPages && html` data-has-pages`}
    ${complete !== undefined && html` data-complete="${complete}"`}
  >
    <legend>Conditions</legend>
    ${select('join', 'A study matches when it meets', [
      ['all', 'all conditions'],
      ['any', 'any condition'],
    ])}
    <div data-rows></div>
    <template>
      <div class="split" data-row>
        ${select('subject', 'What', subjects)} ${select('operator', 'How', operators)}
        <label class="field"><span>Value</span><input name="value" maxlength="200" /></label>
        <button type="button" data-drop-row>Drop</button>
      </div>
    </template>
    <div class="buttons"><button type="button" data-add-row>Add a condition</button></div>
    <small data-beyond hidden>The expression cannot be shown as conditions: edit it below.</small>
  </fieldset>`;
}
