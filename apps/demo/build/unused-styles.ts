/** Parts of VitePress's theme that no page shows: the search of another service but for its button, and pages of teams and sponsors. */
const unused = /DocSearch-(?!Button|Search-Icon)|VPTeam|Sponsors|CarbonAds/;

/** What of a PostCSS rule is looked at. */
interface Rule {
  selectors: string[];
  remove(): unknown;
}

/** Leaves rules out of the style sheet that can match nothing: every page would fetch them. A plugin of PostCSS. */
export const unusedStyles = {
  postcssPlugin: 'unused-styles',
  Rule(rule: Rule): void {
    const used = rule.selectors.filter((selector) => !unused.test(selector));
    if (used.length === 0) rule.remove();
    else if (used.length < rule.selectors.length) rule.selectors = used;
  },
};
