import { shallowRef, type ShallowRef } from 'vue';
import type { DrawnScale, Pixels, WordMap } from '../painter/painter.ts';
import { mostPictures } from './link.ts';
import type { Recipe } from './recipe.ts';

/** A finished picture. */
export interface Picture {
  /** The query of its link. */
  readonly id: string;
  readonly recipe: Recipe;
  readonly pixels: Pixels;
  readonly scales: readonly DrawnScale[];
  /** Where the words of its prompt act. */
  readonly words: readonly WordMap[];
  readonly milliseconds: number;
}

/** The pictures of this visit, latest first, and the one that is looked at. */
export interface Gallery {
  readonly pictures: Readonly<ShallowRef<readonly Picture[]>>;
  readonly chosen: ShallowRef<Picture | undefined>;
  /** Puts a picture in front, in place of one of the same link. */
  add(picture: Picture): Picture;
  find(id: string): Picture | undefined;
}

export function useGallery(): Gallery {
  const pictures = shallowRef<readonly Picture[]>([]);
  const chosen = shallowRef<Picture>();

  function add(picture: Picture): Picture {
    pictures.value = [picture, ...pictures.value.filter(({ id }) => id !== picture.id)].slice(0, mostPictures);
    chosen.value = picture;
    return picture;
  }

  const find = (wanted: string): Picture | undefined => pictures.value.find(({ id }) => id === wanted);
  return { pictures, chosen, add, find };
}
