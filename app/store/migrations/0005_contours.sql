alter table truth_score add column contours varchar default '[]';
