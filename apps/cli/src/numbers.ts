import { InvalidArgumentError } from 'commander';

const rangeOf = (low: number, high: number): string =>
  high === Number.MAX_SAFE_INTEGER ? `from ${low}` : `from ${low} to ${high}`;

/** Reads an option as a whole number of a range. @throws InvalidArgumentError, which commander reports with the option's name */
export const wholeNumber =
  (low: number, high: number = Number.MAX_SAFE_INTEGER): ((text: string) => number) =>
  (text) => {
    const value = Number(text);
    if (text.trim() !== '' && Number.isSafeInteger(value) && value >= low && value <= high) return value;
    throw new InvalidArgumentError(`It must be a whole number ${rangeOf(low, high)}.`);
  };

/** Reads an option as a number of a range. @throws InvalidArgumentError, which commander reports with the option's name */
export const numberIn =
  (low: number, high: number): ((text: string) => number) =>
  (text) => {
    const value = Number(text);
    if (text.trim() !== '' && value >= low && value <= high) return value;
    throw new InvalidArgumentError(`It must be a number ${rangeOf(low, high)}.`);
  };

/** A number, or several where commas part them. */
export type OneOrMore = number | readonly number[];

/** Reads an option as one number of a rule, or as a list of such with commas between. */
export const listOf =
  (rule: (text: string) => number): ((text: string) => OneOrMore) =>
  (text) => {
    const numbers = text.split(',').map(rule);
    return numbers.length === 1 ? numbers[0]! : numbers;
  };
